"""Words as a tagger sees them: how text falls into sentences and words, how a word becomes ids. numpy only."""
