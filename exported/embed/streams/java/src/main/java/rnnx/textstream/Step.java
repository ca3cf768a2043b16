package rnnx.textstream;

/**
 * What a chunk makes of a text.
 *
 * @param state the state after the chunk
 * @param answer the answer for everything that was read so far
 */
public record Step(State state, Answer answer) {}
