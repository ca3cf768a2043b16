/** The answer to a text. */
export interface Prediction {
  /** The most probable label. */
  readonly label: string;
  /** Its probability. */
  readonly probability: number;
  /** The probability of each label, in the order of `Classifier.labels`. */
  readonly probs: readonly number[];
}

/** The model cannot be fetched, read or run. `cause` is the error of the browser or of onnxruntime. */
export declare class ClassifierError extends Error {
  readonly name: "ClassifierError";
}

/** A text model in memory. */
export declare class Classifier {
  private constructor();
  /**
   * Loads a model.
   *
   * @param path The address of a folder with `model.text.onnx` and `config.json`; the model of this package if none is
   *   given. A relative one is relative to the page.
   * @throws {ClassifierError} if a file is missing or damaged.
   */
  static load(path?: string | URL): Promise<Classifier>;
  /** The labels, in the order of `Prediction.probs`. */
  readonly labels: readonly string[];
  /** Reads one text: a string, or bytes, which need not be UTF-8. It may be empty. */
  predict(text: string | Uint8Array): Promise<Prediction>;
  /** Reads many texts, and answers in their order. */
  predictMany(texts: Iterable<string | Uint8Array>): Promise<Prediction[]>;
  /** Frees the memory of the model, and ends its worker if it has one. */
  close(): Promise<void>;
}
