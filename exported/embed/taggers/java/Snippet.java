import java.util.List;
import rnnx.tagger.Tagger;
import rnnx.tagger.Word;

/** The shortest way from a text to its tags. */
public final class Snippet {
  public static void main(String[] arguments) {
    // snippet
    try (var tagger = Tagger.load()) {
      for (List<Word> sentence : tagger.tag("They didn't see it. Nobody did!")) {
        for (Word word : sentence) {
          System.out.println(word.text() + "/" + word.tag());
        }
      }
    }
    // end
  }

  private Snippet() {}
}
