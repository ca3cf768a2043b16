/** A text in chunks, and the answer so far after each of them: start at {@link rnnx.textstream.StreamModel}. */
package rnnx.textstream;
