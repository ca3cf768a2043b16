import rnnx.textclassifier.Classifier
import rnnx.textclassifier.ClassifierException
import kotlin.system.exitProcess

/** Prints the label and the probability of each text: of the arguments, or of a few texts. */
fun main(texts: Array<String>) {
    try {
        Classifier.load().use { classifier ->
            val some = texts.toList().ifEmpty { listOf("A wonderful film.", "Awful.") }
            for ((label, probability) in classifier.predictMany(some).map { it.label to it.probability }) {
                println("$label\t${"%.6f".format(probability)}")
            }
        }
    } catch (error: ClassifierException) {
        System.err.println("error: ${error.message}")
        exitProcess(1)
    }
}
