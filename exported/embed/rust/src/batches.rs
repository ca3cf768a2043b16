//! Batches of texts of similar lengths.

const MOST_BYTES: usize = 1 << 20; // of a batch: a long text does not widen the rows of many short ones
const MOST_TEXTS: usize = 1024; // of a batch

/// Puts the positions of texts into batches.
pub fn of_similar_lengths(texts: &[&[u8]]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&i| texts[i].len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match batches.last_mut() {
            Some(batch) if batch.len() < MOST_TEXTS && (batch.len() + 1) * texts[i].len() <= MOST_BYTES => {
                batch.push(i);
            }
            _ => batches.push(vec![i]),
        }
    }
    batches
}
