B
upper.h_inJ®³[>Þ	è¾ª¾Ôñu½