/** Everything between two chunks. It is plain data: `JSON.stringify` writes it, and the packages for Java, Node and Python read that. */
export interface State {
  /** The states of the network by name. */
  readonly arrays: Readonly<Record<string, readonly number[]>>;
  /** How many positions were read: the words, and the start of the text if the model has one. */
  readonly positions: number;
  /** The bytes that are held back, in hexadecimal: a word that may go on. */
  readonly held: string;
  /** The outputs of the network so far; empty before the first word. */
  readonly latest: readonly number[];
}

/** The answer after a chunk, for everything that was read so far. */
export interface Answer {
  /** The words that the chunk finished. What is not UTF-8 is U+FFFD. */
  readonly words: readonly string[];
  /** The label; missing before the first word, and of a model that gives a number. */
  readonly label?: string;
  /** Its probability. */
  readonly probability?: number;
  /** The probability of each label, in the order of `StreamModel.labels`. */
  readonly probs: readonly number[];
  /** The number of a model that gives one; missing before the first word. */
  readonly number?: number;
}

/** The model cannot be fetched, read or run, or a state is not one of this model. */
export declare class StreamError extends Error {
  readonly name: "StreamError";
}

/** A streaming model in memory. Any number of texts may be read at the same time. */
export declare class StreamModel {
  private constructor();
  /**
   * Loads a model.
   *
   * @param path The address of a folder with `model.stream.onnx`, `vocabulary.txt` and `config.json`; the model of this
   *   package if none is given. A relative one is relative to the page.
   * @throws {StreamError} if a file is missing or damaged.
   */
  static load(path?: string | URL): Promise<StreamModel>;
  /** The labels, in the order of `Answer.probs`. Empty for a model that gives a number. */
  readonly labels: readonly string[];
  /** The state before a text. */
  begin(): State;
  /**
   * Reads the next chunk of a text. Bytes may be cut anywhere, also within a character; a string between two characters.
   * A word that may go on is held back, so a chunk may finish no word. The given state stays as it is.
   */
  step(state: State, chunk: string | Uint8Array): Promise<{ state: State; answer: Answer }>;
  /** Ends a text: reads the word that was held back. */
  finish(state: State): Promise<{ state: State; answer: Answer }>;
  /** Frees the memory of the model. */
  close(): Promise<void>;
}
