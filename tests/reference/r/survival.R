# Kaplan-Meier, log-rank and Cox (Efron) by R's package survival.
#
#   Rscript tests/reference/r/survival.R tests/reference/r
#
# writes remission.csv, relapse.csv and survival.json. Data:
# - remission: weeks in remission of 42 children with leukaemia, 6-mercaptopurine (arm 1) or placebo (0);
#   Freireich et al. (1963) Blood 21:699, as in MASS::gehan.
# - relapse: drawn here; 180 patients, 3 arms, 3 strata, a covariate, whole weeks (many ties), censored at 26 weeks.
library(survival)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]

gehan <- MASS::gehan
remission <- data.frame(time = gehan$time, event = gehan$cens, arm = as.integer(gehan$treat == "6-MP"))
set.seed(21)
n <- 180
relapse <- data.frame(arm = rep(0:2, length.out = n), stratum = sample(0:2, n, TRUE, c(0.5, 0.3, 0.2)), x = round(rnorm(n), 2))
rate <- 0.06 * exp(-0.5 * (relapse$arm == 1) - 0.9 * (relapse$arm == 2) + 0.3 * relapse$x + 0.3 * relapse$stratum)
ends <- ceiling(rexp(n, rate))
left <- pmin(26, ceiling(rexp(n, 0.015)))
relapse$time <- pmin(ends, left)
relapse$event <- as.integer(ends <= left)

curve <- function(data, at) {
  fit <- survfit(Surv(time, event) ~ 1, data, conf.type = "log-log")
  s <- summary(fit, times = at, extend = TRUE)
  list(at = at, share = s$surv, low = s$lower, high = s$upper, at_risk = s$n.risk, median = unname(summary(fit)$table[c("median", "0.95LCL", "0.95UCL")]))
}
hazard <- function(formula, data) {
  fit <- coxph(formula, data, ties = "efron", control = coxph.control(eps = 1e-11, iter.max = 100))
  list(log_value = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))), log_likelihood = fit$loglik[2])
}
test <- function(formula, data) {
  fit <- survdiff(formula, data)
  list(statistic = fit$chisq, p = pchisq(fit$chisq, length(fit$n) - 1, lower.tail = FALSE))
}
results <- list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  remission = list(
    treated = curve(remission[remission$arm == 1, ], c(5, 6, 10, 16, 23, 30, 35)),
    placebo = curve(remission[remission$arm == 0, ], c(1, 4, 8, 12, 17, 22)),
    log_rank = test(Surv(time, event) ~ arm, remission),
    cox = hazard(Surv(time, event) ~ arm, remission)
  ),
  relapse = list(
    all = curve(relapse, c(1, 4, 8, 13, 20, 26)),
    log_rank = test(Surv(time, event) ~ arm, relapse),
    log_rank_stratified = test(Surv(time, event) ~ arm + strata(stratum), relapse),
    cox = hazard(Surv(time, event) ~ factor(arm), relapse),
    cox_adjusted = hazard(Surv(time, event) ~ factor(arm) + x, relapse),
    cox_stratified = hazard(Surv(time, event) ~ factor(arm) + x + strata(stratum), relapse)
  )
)
write.csv(remission, file.path(folder, "remission.csv"), row.names = FALSE, quote = FALSE)
write.csv(relapse, file.path(folder, "relapse.csv"), row.names = FALSE, quote = FALSE)
write(toJSON(results, auto_unbox = TRUE, digits = I(14), pretty = TRUE, na = "null"), file.path(folder, "survival.json"))
