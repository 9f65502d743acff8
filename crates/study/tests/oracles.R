# Figures of other packages for the tests of this crate; run by hand, never by the tests.
#
#   Rscript oracles.R make fixtures/froc_example.csv      draws the study of marks
#   loupe study analyse fixtures/froc_example.csv -o marks
#   Rscript oracles.R rjafroc marks/exports/rjafroc.xlsx  what RJafroc 2.1.3 makes of the written workbook
#   loupe study analyse fixtures/imrmc_example.csv -o ratings
#   Rscript oracles.R mrmcaov ratings/exports/mrmcaov.csv what MRMCaov 0.3.0 makes of the written table
#
# MRMCaov needs `progress` only to draw bars; RJafroc needs `binom` and `FRACTION` for nothing that is used here.
args <- commandArgs(TRUE)
options(digits = 15, width = 200)

make <- function(file) {
  # Marks of the search model in its plainest form: a Poisson number of false marks, lesions seen with a probability.
  set.seed(20)
  arms <- c("aided", "unaided"); readers <- paste0("r", 1:4); negative <- 14; positive <- 11
  lesions <- sample(1:3, positive, replace = TRUE)
  weights <- lapply(lesions, function(n) round(diff(c(0, sort(runif(n - 1)), 1)), 3))
  weights <- lapply(weights, function(w) { w[length(w)] <- round(1 - sum(w[-length(w)]), 3); w })
  out <- file(file, "w")
  cat("reader,case,arm,truth,lesions,marks\n", file = out)
  rating <- function(mean) max(1, min(100, round(50 + 15 * rnorm(1, mean))))
  for (arm in 1:2) for (reader in 1:4) for (case in 1:(negative + positive)) {
    of <- case - negative
    marks <- replicate(rpois(1, 0.5), as.character(rating(-0.5)))
    names <- ""
    if (of > 0) {
      names <- paste(sprintf("L%d=%s", seq_len(lesions[of]), weights[[of]]), collapse = ";")
      for (lesion in seq_len(lesions[of])) {
        if (runif(1) < 0.6 + 0.2 * (arm == 1)) marks <- c(marks, sprintf("%d@L%d", rating(0.8), lesion))
      }
    }
    cat(sprintf("%s,c%d,%s,%d,%s,%s\n", readers[reader], case, arms[arm], of > 0, names, paste(unlist(marks), collapse = ";")), file = out)
  }
  close(out)
}

rjafroc <- function(file) {
  suppressMessages(library(RJafroc))
  ds <- DfReadDataFile(file, newExcelFileFormat = TRUE)
  for (fom in c("wAFROC", "HrAuc")) {
    for (option in c("RRRC", "FRRC", "RRFC")) {
      found <- St(ds, FOM = fom, method = "OR", analysisOption = option)
      if (option == "RRRC") { print(fom); print(found$FOMs$foms); print(found$ANOVA) }
      print(found[[option]])
    }
  }
}

mrmcaov <- function(file) {
  suppressMessages(library(MRMCaov))
  data <<- read.csv(file)
  print(summary(mrmc(empirical_auc(truth, rating), treatment, reader, case, data = data, cov = DeLong)))
  print(summary(mrmc(empirical_auc(truth, rating), treatment, reader, case, data = data, cov = jackknife)))
  print(summary(mrmc(empirical_auc(truth, rating), treatment, fixed(reader), case, data = data, cov = DeLong)))
  print(summary(mrmc(empirical_auc(truth, rating), treatment, reader, fixed(case), data = data)))
  # Readers r1 and r2 read every other case, r3 and r4 the rest.
  cases <- unique(data$case); half <- cases[seq(1, length(cases), 2)]
  data <<- rbind(data[data$reader %in% c("r1", "r2") & data$case %in% half, ],
                 data[data$reader %in% c("r3", "r4") & !(data$case %in% half), ])
  print(summary(mrmc(empirical_auc(truth, rating), treatment, reader, case, data = data, cov = jackknife)))
}

get(args[1])(args[2])
