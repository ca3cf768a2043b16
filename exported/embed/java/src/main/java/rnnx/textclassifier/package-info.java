/** Text in, label and probability out, with onnxruntime: {@link rnnx.textclassifier.Classifier} is where to start. */
package rnnx.textclassifier;
