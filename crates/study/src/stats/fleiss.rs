//! Agreement of many readers on nominal categories: Fleiss' κ.

/// Fleiss (1971) κ of a table with a row for each case and the number of readers that chose each category. Every
/// row has to hold the same number of readers, at least two. `None` otherwise, or where chance alone agrees always.
pub fn fleiss(table: &[Vec<u32>]) -> Option<f64> {
    let readers: u32 = table.first()?.iter().sum();
    let categories = table.first()?.len();
    let even = |row: &Vec<u32>| row.len() == categories && row.iter().sum::<u32>() == readers;
    if readers < 2 || !table.iter().all(even) {
        return None;
    }
    let (r, n) = (f64::from(readers), table.len() as f64);
    let agreeing = |row: &Vec<u32>| row.iter().map(|&c| f64::from(c) * (f64::from(c) - 1.0)).sum::<f64>();
    let observed = table.iter().map(agreeing).sum::<f64>() / (n * r * (r - 1.0));
    let share = |category: usize| table.iter().map(|row| f64::from(row[category])).sum::<f64>() / (n * r);
    let chance: f64 = (0..categories).map(|c| share(c).powi(2)).sum();
    (chance < 1.0).then(|| (observed - chance) / (1.0 - chance))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equals_the_textbook() {
        // Fleiss' worked table of 10 cases, 14 raters and 5 categories.
        let table: Vec<Vec<u32>> = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
        .map(Vec::from)
        .to_vec();
        assert!((fleiss(&table).unwrap() - 0.209_930_70).abs() < 5e-9);
    }

    #[test]
    fn uneven_rows_and_certain_agreement_have_no_value() {
        assert_eq!(fleiss(&[vec![2, 1], vec![1, 1]]), None);
        assert_eq!(fleiss(&[vec![3, 0], vec![3, 0]]), None);
        assert_eq!(fleiss(&[vec![1, 0], vec![0, 1]]), None);
        assert_eq!(fleiss(&[]), None);
    }
}
