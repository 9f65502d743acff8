//! The methods paragraph: what was computed, as a paper has to say it, with references.

use crate::analysis::StudyAnalysis;
use crate::merit::Merit;
use crate::stats::design::Design;
use crate::stats::estimate::ErrorMethod;
use serde::Serialize;
use std::collections::BTreeSet;

/// Sentences and the works that they cite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Methods {
    /// Paragraphs.
    pub paragraphs: Vec<String>,
    /// References, in alphabetical order.
    pub references: Vec<&'static str>,
}

const DURKALSKI: &str = "Durkalski VL, Palesch YY, Lipsitz SR, Rust PF. Analysis of clustered matched-pair data. Stat Med 2003;22:2417-2428.";
const DELONG: &str = "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver operating characteristic curves. Biometrics 1988;44:837-845.";
const OR: &str = "Obuchowski NA, Rockette HE. Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests: an ANOVA approach with dependent observations. Commun Stat Simul Comput 1995;24:285-308.";
const HILLIS: &str = "Hillis SL. A comparison of denominator degrees of freedom methods for multiple observer ROC analysis. Stat Med 2007;26:596-619.";
const SPLIT: &str = "Obuchowski NA, Gallas BD, Hillis SL. Multi-reader ROC studies with split-plot designs: a comparison of statistical methods. Acad Radiol 2012;19:1508-1517.";
const POWER: &str = "Hillis SL, Obuchowski NA, Berbaum KS. Power estimation for multireader ROC methods: an updated and unified approach. Acad Radiol 2011;18:129-142.";
const CHAKRABORTY: &str =
    "Chakraborty DP. Observer performance methods for diagnostic imaging. CRC Press 2017.";
const COHEN: &str =
    "Cohen J. A coefficient of agreement for nominal scales. Educ Psychol Meas 1960;20:37-46.";
const WEIGHTED: &str = "Cohen J. Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit. Psychol Bull 1968;70:213-220.";
const FLEISS: &str =
    "Fleiss JL. Measuring nominal scale agreement among many raters. Psychol Bull 1971;76:378-382.";
const KRIPPENDORFF: &str =
    "Krippendorff K. Computing Krippendorff's alpha-reliability. University of Pennsylvania 2011.";
const ICC: &str = "Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability. Psychol Bull 1979;86:420-428.";
const MCGRAW: &str = "McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients. Psychol Methods 1996;1:30-46.";
const BLAND: &str = "Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of clinical measurement. Lancet 1986;327:307-310.";
const LENGTH: &str = "Dubois Y, Galambosi B, Liang P, Hashimoto TB. Length-controlled AlpacaEval: a simple way to debias automatic evaluators. 2024.";

impl StudyAnalysis {
    /// What was done, in the words of a methods section.
    pub fn methods(&self) -> Methods {
        let mut said = Vec::new();
        let mut cited = BTreeSet::new();
        let c = &self.contents;
        let level = format!("{:.0} %", self.options.level * 100.0);
        said.push(format!(
            "{} readers read {} cases ({} with and {} without the disease) in {} arms, {} readings in all; {} of a fully crossed study are missing.",
            c.readers.len(), c.cases, c.positive, c.negative, c.arms.len(), c.readings, c.missing
        ));
        for merit in &self.merits {
            let figure = match merit.merit {
                Merit::Auc => "The area under the empirical ROC curve (trapezoid rule)",
                Merit::Sensitivity => "Sensitivity",
                Merit::Specificity => "Specificity",
                Merit::Wafroc => {
                    "The weighted area under the AFROC curve, with non-lesion marks on cases without disease only,"
                }
                Merit::HrAuc => "The area under the ROC curve of each case's highest mark",
                Merit::LogSeconds => "The mean logarithm of the reading time",
            };
            if matches!(merit.merit, Merit::Wafroc | Merit::HrAuc) {
                cited.insert(CHAKRABORTY);
            }
            let errors = match merit.errors {
                ErrorMethod::DeLong => {
                    cited.insert(DELONG);
                    "covariances over cases by DeLong's method"
                }
                ErrorMethod::Jackknife if c.units < c.cases => {
                    "covariances by leaving out one unit (patient) at a time"
                }
                ErrorMethod::Jackknife => "covariances over cases by the jackknife",
            };
            let Some(found) = &merit.comparison else {
                said.push(format!("{figure} is given for each reader, with {errors}."));
                continue;
            };
            cited.extend([OR, HILLIS]);
            if matches!(found.design, Design::SplitPlot { .. }) {
                cited.insert(SPLIT);
            }
            said.push(format!(
                "{figure} was compared between arms by the analysis of variance of Obuchowski and Rockette with Hillis' degrees of freedom, with {errors} ({} design); results are given for random readers and cases, and for fixed readers or cases where the design allows. Intervals are two-sided at {level}.",
                found.design.words()
            ));
        }
        if self.merits.iter().any(|m| m.model.iter().any(|r| r.result.is_some())) {
            cited.insert(CHAKRABORTY);
            let margin = self.options.margin.map_or_else(String::new, |margin| {
                format!(" Non-inferiority with a margin of {margin} is claimed where the lower end of the {level} interval lies above −{margin}.")
            });
            said.push(format!(
                "The model was compared with the mean of the readers by the same model with one fixed and many random readers; differences model − reader enter, so that the shared cases are accounted for.{margin}"
            ));
        }
        if self.merits.iter().any(|m| !m.plan.is_empty()) {
            cited.insert(POWER);
            said.push("Sample sizes follow Hillis, Obuchowski and Berbaum from the components of this study; a negative variance of tests by readers counts as 0.".to_owned());
        }
        if !self.changes.is_empty() {
            cited.insert(DURKALSKI);
            said.push("Decisions of each reader in two arms were compared by McNemar's exact test, and over readers by the χ² of Durkalski et al. with cases as clusters. Decisions that became wrong are counted as harm.".to_owned());
        }
        if let Some(threshold) = self.options.threshold {
            said.push(format!(
                "Ratings of {threshold} and above are positive decisions where no decision was recorded."
            ));
        }
        if !self.preferences.is_empty() {
            said.push("Win rates count ties and “neither” as halves; intervals are given with cases, with readers, and with both as the sampled units.".to_owned());
            if self.preferences.iter().any(|p| p.length_controlled.is_some()) {
                cited.insert(LENGTH);
                said.push("Win rates at equal length come from a logistic regression on the squashed standardised difference of lengths, read at 0.".to_owned());
            }
        }
        if !self.agreement.is_empty() {
            cited.extend([COHEN, WEIGHTED, FLEISS, KRIPPENDORFF, ICC, MCGRAW]);
            said.push(format!(
                "Agreement is given as Cohen's κ of pairs (unweighted, linear and quadratic weights), Fleiss' κ, Krippendorff's α and the intraclass correlations of Shrout and Fleiss with the intervals of McGraw and Wong; other intervals are percentiles of {} bootstrap resamples of {} (seed {}).",
                self.options.resamples,
                if c.units < c.cases { "patients" } else { "cases" },
                self.options.seed
            ));
        }
        if !self.own_agreement.is_empty() {
            cited.extend([COHEN, ICC, BLAND]);
            said.push(format!(
                "{} readings were repeated. Agreement of readers with themselves is given as Cohen's κ, ICC(2,1) and limits of agreement; repeated readings enter no other figure.",
                c.repeats
            ));
        }
        said.push("P values are not adjusted for the number of comparisons.".to_owned());
        said.push(format!("Computed with loupe {}.", env!("CARGO_PKG_VERSION")));
        Methods { paragraphs: said, references: cited.into_iter().collect() }
    }
}
