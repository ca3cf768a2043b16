from rnnx_tagger import Tagger

tagger = Tagger.load()
for sentence in tagger.tag("They didn't see it. Nobody did!"):
    print(*(f"{word.text}/{word.tag}" for word in sentence))
