/** A word of a text with its tag. */
export interface Word {
  /** The word as it is in the text. Of a text in bytes, what is not UTF-8 is U+FFFD. */
  readonly text: string;
  /** Where it starts in the text: `text.slice(start, end)`, or `subarray` of bytes, is the word. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** Its most probable tag. */
  readonly tag: string;
  /** The probability of that tag. */
  readonly probability: number;
}

/** The words of a sentence, at least one. */
export type Sentence = readonly Word[];

/** The model cannot be fetched, read or run. `cause` is the error of the browser or of onnxruntime. */
export declare class TaggerError extends Error {
  readonly name: "TaggerError";
}

/** A tagger of words in memory. */
export declare class Tagger {
  private constructor();
  /**
   * Loads a model.
   *
   * @param path The address of a folder with `model.onnx`, `vocabulary.txt` and `config.json`; the model of this package
   *   if none is given. A relative one is relative to the page.
   * @throws {TaggerError} if a file is missing or damaged.
   */
  static load(path?: string | URL): Promise<Tagger>;
  /** The tags, in the order of the probabilities of `compute`. */
  readonly tags: readonly string[];
  /** Splits one text into sentences of words, and tags the words. Bytes need not be UTF-8. A text may be empty. */
  tag(text: string | Uint8Array): Promise<Sentence[]>;
  /** Tags many texts, and answers in their order. */
  tagMany(texts: Iterable<string | Uint8Array>): Promise<Sentence[][]>;
  /** For each sentence, given as its words in bytes, and each of its words the probability of each tag. */
  compute(sentences: readonly (readonly Uint8Array[])[]): Promise<number[][][]>;
  /** Frees the memory of the model. */
  close(): Promise<void>;
}
