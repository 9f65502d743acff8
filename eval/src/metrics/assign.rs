//! The cheapest one-to-one assignment (Kuhn–Munkres with potentials, O(n²m)).

/// Most entries of a cost table that is worth solving; larger ones are refused by the callers.
pub const MOST_CELLS: usize = 1_000_000;

/// Pairs `(row, column)` of the assignment with the smallest total cost; every row or every column
/// is used, whichever are fewer. Costs must be finite; rows of unequal length yield no pairs.
pub fn cheapest(costs: &[Vec<f64>]) -> Vec<(usize, usize)> {
    let (rows, columns) = (costs.len(), costs.first().map_or(0, Vec::len));
    if rows == 0 || columns == 0 || costs.iter().any(|r| r.len() != columns) {
        return Vec::new();
    }
    if rows > columns {
        let turned: Vec<Vec<f64>> = (0..columns).map(|c| costs.iter().map(|r| r[c]).collect()).collect();
        let mut pairs: Vec<_> = cheapest(&turned).into_iter().map(|(c, r)| (r, c)).collect();
        pairs.sort_unstable();
        return pairs;
    }
    // Rows and columns are numbered from 1; column 0 stands for the row being placed.
    let (mut u, mut v) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let (mut row_of, mut way) = (vec![0usize; columns + 1], vec![0usize; columns + 1]);
    for row in 1..=rows {
        row_of[0] = row;
        let (mut slack, mut visited, mut at) =
            (vec![f64::INFINITY; columns + 1], vec![false; columns + 1], 0usize);
        loop {
            visited[at] = true;
            let (from, mut step, mut next) = (row_of[at], f64::INFINITY, 0usize);
            for column in 1..=columns {
                if visited[column] {
                    continue;
                }
                let reduced = costs[from - 1][column - 1] - u[from] - v[column];
                if reduced < slack[column] {
                    (slack[column], way[column]) = (reduced, at);
                }
                if slack[column] < step {
                    (step, next) = (slack[column], column);
                }
            }
            if next == 0 {
                break;
            }
            for column in 0..=columns {
                if visited[column] {
                    u[row_of[column]] += step;
                    v[column] -= step;
                } else {
                    slack[column] -= step;
                }
            }
            at = next;
            if row_of[at] == 0 {
                break;
            }
        }
        while at != 0 {
            let before = way[at];
            row_of[at] = row_of[before];
            at = before;
        }
    }
    let mut pairs: Vec<_> =
        (1..=columns).filter(|c| row_of[*c] > 0).map(|c| (row_of[c] - 1, c - 1)).collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::cheapest;
    use proptest::prelude::*;

    fn brute(costs: &[Vec<f64>], row: usize, used: &mut Vec<bool>) -> f64 {
        if row == costs.len() {
            return 0.0;
        }
        (0..costs[0].len())
            .filter_map(|c| {
                if used[c] {
                    return None;
                }
                used[c] = true;
                let total = costs[row][c] + brute(costs, row + 1, used);
                used[c] = false;
                Some(total)
            })
            .fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn as_cheap_as_trying_everything(rows in 1usize..5, extra in 0usize..3, seed in proptest::collection::vec(-5.0..5.0f64, 40)) {
            let columns = rows + extra;
            let costs: Vec<Vec<f64>> = (0..rows).map(|r| (0..columns).map(|c| seed[r * columns + c]).collect()).collect();
            let pairs = cheapest(&costs);
            prop_assert_eq!(pairs.len(), rows);
            let total: f64 = pairs.iter().map(|&(r, c)| costs[r][c]).sum();
            prop_assert!((total - brute(&costs, 0, &mut vec![false; columns])).abs() < 1e-9);
            let turned: Vec<Vec<f64>> = (0..columns).map(|c| (0..rows).map(|r| costs[r][c]).collect()).collect();
            let other: f64 = cheapest(&turned).iter().map(|&(r, c)| turned[r][c]).sum();
            prop_assert!((total - other).abs() < 1e-9);
        }
    }
}
