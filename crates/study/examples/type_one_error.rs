//! How often the comparison of two arms errs when there is no difference: simulated studies of Roe and Metz.
//!
//! `cargo run --release -p loupe-study --example type_one_error [STUDIES]`
//!
//! Where readers (cases) are fixed, tests do not interact with them, as there would be a difference for these readers (cases) else.
#![allow(clippy::print_stdout)]

use loupe_study::stats::design::Design;
use loupe_study::stats::obuchowski_rockette::Inference;
use loupe_study::stats::roe_metz::{
    HIGH_CASES_HIGH_READERS, HIGH_CASES_LOW_READERS, LOW_CASES_HIGH_READERS, LOW_CASES_LOW_READERS, RoeMetz,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let studies = std::env::args().nth(1).map_or(Ok(2000), |n| n.parse())?;
    println!("structure  design           readers  cases    both random  fixed readers  fixed cases");
    for (name, model) in [
        ("HL", HIGH_CASES_LOW_READERS),
        ("LL", LOW_CASES_LOW_READERS),
        ("HH", HIGH_CASES_HIGH_READERS),
        ("LH", LOW_CASES_HIGH_READERS),
    ] {
        for (words, design, readers, n) in [
            ("fully crossed", Design::FullyCrossed, 5, 25),
            ("fully crossed", Design::FullyCrossed, 5, 50),
            ("fully crossed", Design::FullyCrossed, 5, 100),
            ("split plot", Design::SplitPlot { groups: 2 }, 6, 50),
            ("cases in arms", Design::CasesNestedInTests, 5, 50),
            ("readers in arms", Design::ReadersNestedInTests, 5, 50),
        ] {
            let share = |model: RoeMetz, inference| {
                model
                    .type_one_error(studies, (readers, [n, n]), design, inference, 0.05, 20)
                    .map(|s| s * 100.0)
            };
            print!("{name:<11}{words:<17}{readers:<9}{:<8}", format!("{n}+{n}"));
            print!("{:>10.1} %", share(model, Inference::RandomReadersRandomCases)?);
            match design {
                Design::ReadersNestedInTests => print!("{:>15}", "–"),
                _ => print!(
                    "{:>13.1} %",
                    share(RoeMetz { test_reader: 0.0, ..model }, Inference::FixedReadersRandomCases)?
                ),
            }
            match design {
                Design::CasesNestedInTests => println!("{:>13}", "–"),
                _ => println!(
                    "{:>11.1} %",
                    share(RoeMetz { test_case: 0.0, ..model }, Inference::RandomReadersFixedCases)?
                ),
            }
        }
    }
    Ok(())
}
