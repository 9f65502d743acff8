//! How often the comparison of two arms errs when there is no difference: simulated studies of Roe and Metz.
//!
//! `cargo run --release -p loupe-study --example type_one_error [STUDIES]`
#![allow(clippy::print_stdout)]

use loupe_study::stats::obuchowski_rockette::Inference;
use loupe_study::stats::roe_metz::{
    HIGH_CASES_HIGH_READERS, HIGH_CASES_LOW_READERS, LOW_CASES_HIGH_READERS, LOW_CASES_LOW_READERS,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let studies = std::env::args().nth(1).map_or(Ok(2000), |n| n.parse())?;
    println!("structure  readers  cases    random readers and cases  fixed readers");
    for (name, model) in [
        ("HL", HIGH_CASES_LOW_READERS),
        ("LL", LOW_CASES_LOW_READERS),
        ("HH", HIGH_CASES_HIGH_READERS),
        ("LH", LOW_CASES_HIGH_READERS),
    ] {
        for size in [[5, 25, 25], [5, 50, 50], [5, 100, 100]] {
            let share = |inference| model.type_one_error(studies, size, inference, 0.05, 20);
            let random = share(Inference::RandomReadersRandomCases)? * 100.0;
            let fixed = share(Inference::FixedReadersRandomCases)? * 100.0;
            let [readers, negative, positive] = size;
            println!("{name:<11}{readers:<9}{negative}+{positive:<6} {random:>6.1} % {fixed:>25.1} %");
        }
    }
    Ok(())
}
