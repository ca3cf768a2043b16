BprobsJ
­U?