from rnnx_text_stream import StreamModel

model = StreamModel.load()
state = model.begin()
for chunk in ("A wonder", "ful film; I loved ", "every minute of it."):
    state, answer = model.step(state, chunk)
state, answer = model.finish(state)
print(answer.label, answer.probability)
