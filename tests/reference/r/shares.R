# Mantel-Haenszel risk difference (variance of Sato) and odds ratio by R's package metafor, and Newcombe's interval.
#
#   Rscript tests/reference/r/shares.R tests/reference/r
#
# writes shares.json. Data: tuberculosis in 13 trials of BCG vaccination, Colditz et al. (1994) JAMA 271:698, as in
# metafor's (metadat's) dat.bcg; and four trials of it.
library(metafor)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
pooled <- function(d) {
  difference <- rma.mh(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = d, measure = "RD", digits = 12)
  odds <- rma.mh(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = d, measure = "OR", add = 0, to = "none", drop00 = FALSE)
  list(events = cbind(d$cpos, d$tpos), totals = cbind(d$cpos + d$cneg, d$tpos + d$tneg),
       difference = list(value = as.numeric(difference$beta), se = difference$se),
       odds_ratio = list(log_value = as.numeric(odds$beta), se = odds$se))
}
results <- list(
  versions = list(R = R.version.string, metafor = as.character(packageVersion("metafor"))),
  all = pooled(dat.bcg), few = pooled(dat.bcg[c(2, 3, 7, 10), ])
)
write(toJSON(results, auto_unbox = TRUE, digits = I(14), pretty = TRUE), file.path(folder, "shares.json"))
