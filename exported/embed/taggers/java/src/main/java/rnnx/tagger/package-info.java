/** Text in, sentences of tagged words out, with onnxruntime: {@link rnnx.tagger.Tagger} is where to start. */
package rnnx.tagger;
