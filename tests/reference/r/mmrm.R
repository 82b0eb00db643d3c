# Mixed models for repeated measures by nlme::gls (REML, corSymm + varIdent) and by the package mmrm (degrees of
# freedom and standard errors of Satterthwaite, and of Kenward and Roger with a covariance linear in its parameters).
#
#   OMP_NUM_THREADS=1 Rscript tests/reference/r/mmrm.R tests/reference/r
#
# writes dental.csv, dental_holes.csv, trial.csv and mmrm.json. Data:
# - dental: distance from the pituitary to the pterygomaxillary fissure (mm) of 27 children at 8, 10, 12 and 14 years;
#   Potthoff & Roy (1964) Biometrika 51:313, doi:10.1093/biomet/51.3-4.313, as in nlme::Orthodont. Arm 1 is male.
#   "dental_holes": the value at 10 years is deleted where that at 8 was below 20.75 mm, and that at 14 years where
#   that at 12 was below 23 mm, so that what is missing depends on what was seen.
# - trial: drawn here; 120 patients, 3 arms, 5 visits, baseline, 2 strata, dropout after high values, visits missed.
library(nlme)
library(mmrm)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]

dental <- reshape(as.data.frame(Orthodont), idvar = "Subject", timevar = "age", direction = "wide", v.names = "distance")
dental <- data.frame(arm = as.integer(dental$Sex == "Male"), v1 = dental$distance.8, v2 = dental$distance.10,
                     v3 = dental$distance.12, v4 = dental$distance.14)
holes <- dental
holes$v2[dental$v1 < 20.75] <- NA
holes$v4[dental$v3 < 23] <- NA

set.seed(20)
n <- 120
baseline <- round(rnorm(n, 32, 5))
arm <- rep(0:2, length.out = n)
stratum <- rbinom(n, 1, 0.4)
spread <- outer(1:5, 1:5, function(i, j) sqrt((20 + 10 * i) * (20 + 10 * j)) * 0.75^abs(i - j))
values <- matrix(rnorm(n * 5), n) %*% chol(spread)
values <- round(values + 0.4 * baseline + outer(-2 * arm, 1:5 / 5) - 2 * stratum, 2)
for (visit in 2:5) {
  leaves <- runif(n) < 0.25 * plogis((values[, visit - 1] - 18) / 3)
  values[which(leaves | is.na(values[, visit - 1])), visit] <- NA
}
values[matrix(runif(n * 5), n) < 0.04] <- NA
trial <- data.frame(arm, baseline, stratum, setNames(as.data.frame(values), paste0("v", 1:5)))
seen <- rowSums(!is.na(values)) > 0
stopifnot(all(seen))

long <- function(data, visits) {
  d <- do.call(rbind, lapply(visits, function(v) {
    data.frame(id = seq_len(nrow(data)), visit = v, y = data[[paste0("v", v)]], arm = data$arm,
               base = if (is.null(data$baseline)) 0 else data$baseline - mean(data$baseline),
               stratum = if (is.null(data$stratum)) 0 else data$stratum - mean(data$stratum))
  }))
  d <- d[!is.na(d$y), ]
  d <- d[order(d$id, d$visit), ]
  d$id <- factor(d$id)
  d$place <- match(d$visit, visits)
  d$visit <- factor(d$visit)
  d$arm <- factor(d$arm)
  d
}

pairs <- function(coefficients, variance, arms, visits) {
  # coefficients are named visit and arm; rows are arms, columns are visits
  name <- function(a, v) paste0("visit", v, ":arm", a)
  one <- function(weights) {
    w <- setNames(rep(0, length(coefficients)), names(coefficients))
    w[names(weights)] <- weights
    w
  }
  list(
    mean = lapply(arms, function(a) lapply(visits, function(v) one(setNames(1, name(a, v))))),
    contrast = lapply(arms[-1], function(a) lapply(visits, function(v) one(setNames(c(1, -1), c(name(a, v), name(arms[1], v))))))
  )
}

analyse <- function(data, visits, formula) {
  d <- long(data, visits)
  arms <- levels(d$arm)
  fit <- gls(formula, d, correlation = corSymm(form = ~ place | id), weights = varIdent(form = ~ 1 | visit),
             method = "REML", control = glsControl(tolerance = 1e-12, msTol = 1e-13, maxIter = 2000, msMaxIter = 2000, opt = "optim", optimMethod = "BFGS"))
  full <- which(table(d$id) == length(visits))[1]
  rows <- pairs(coef(fit), vcov(fit), arms, visits)
  by_gls <- function(w) list(value = sum(w * coef(fit)), se = sqrt(drop(w %*% vcov(fit) %*% w)))
  each <- function(what, f) {
    found <- lapply(rows[[what]], function(a) lapply(a, f))
    fields <- names(found[[1]][[1]])
    setNames(lapply(fields, function(x) t(sapply(found, function(a) sapply(a, `[[`, x)))), fields)
  }

  formula_us <- update(formula, . ~ . + us(visit | id))
  methods <- list()
  for (m in c("Satterthwaite", "Kenward-Roger")) {
    other <- mmrm(formula_us, d, reml = TRUE, method = m,
                  vcov = if (m == "Satterthwaite") "Asymptotic" else "Kenward-Roger-Linear",
                  optimizer = "BFGS", optimizer_control = list(reltol = 1e-15, maxit = 2000))
    stopifnot(identical(names(coef(other)), names(coef(fit))))
    f <- function(w) { r <- df_1d(other, w); list(value = r$est, se = r$se, df = r$df, p = r$p_val) }
    methods[[m]] <- list(log_likelihood = as.numeric(logLik(other)), mean = each("mean", f), contrast = each("contrast", f))
  }
  list(visits = length(visits), log_likelihood = as.numeric(logLik(fit)), covariance = unclass(getVarCov(fit, individual = names(full))),
       gls = list(mean = each("mean", by_gls), contrast = each("contrast", by_gls)),
       satterthwaite = methods[["Satterthwaite"]], kenward_roger = methods[["Kenward-Roger"]])
}

results <- list(
  versions = list(R = R.version.string, nlme = as.character(packageVersion("nlme")), mmrm = as.character(packageVersion("mmrm"))),
  dental = analyse(dental, 1:4, y ~ 0 + visit:arm),
  dental_holes = analyse(holes, 1:4, y ~ 0 + visit:arm),
  trial = analyse(trial, 1:5, y ~ 0 + visit:arm + visit:base + stratum),
  trial_no_stratum = analyse(trial[, c("arm", "baseline", paste0("v", 1:5))], 1:5, y ~ 0 + visit:arm + visit:base)
)
write.csv(dental, file.path(folder, "dental.csv"), row.names = FALSE, quote = FALSE)
write.csv(holes, file.path(folder, "dental_holes.csv"), row.names = FALSE, quote = FALSE, na = "")
write.csv(trial, file.path(folder, "trial.csv"), row.names = FALSE, quote = FALSE, na = "")
write(toJSON(results, auto_unbox = TRUE, digits = I(12), pretty = TRUE), file.path(folder, "mmrm.json"))
