# mrgsolve (LSODA) on the workload of bench_engine.py, one core: prints rows of the same table.
# NOT MEASURED HERE: this script was written without R at hand and has not been run. No figure of mrgsolve
# in this repository comes from it.
#
#   python benchmarks/rival_mrgsolve.py
#   Rscript benchmarks/rival_mrgsolve.R [patients/s of the engine on one core, 28 days] [the same, 365 days]
#
# Error of a patient: the largest over times and outputs of |y - right| / max(|right|, 1 % of the peak).

suppressMessages(library(mrgsolve))
folder <- "build/mrgsolve"
given <- as.numeric(commandArgs(trailingOnly = TRUE))
ours <- list("28" = given[1], "365" = given[2])

started <- proc.time()[["elapsed"]]
model <- mread("workload", project = folder, soloc = folder, quiet = TRUE)
first_call_s <- proc.time()[["elapsed"]] - started
cat("mrgsolve", as.character(packageVersion("mrgsolve")), "with", R.version.string, "\n")

of <- function(name, days) read.csv(file.path(folder, paste0(name, "_", days, ".csv")))

solve_all <- function(days, tolerance) {
  patients <- of("patients", days)
  infusions <- of("infusions", days)
  infusions$evid <- 1
  events <- merge(data.frame(ID = patients$ID), infusions, by = NULL)
  events <- events[order(events$ID, events$time, events$cmt), ]
  times <- of("times", days)$time
  set <- update(model, rtol = tolerance, atol = tolerance * 1e-3, maxsteps = 200000)
  started <- proc.time()[["elapsed"]]
  found <- mrgsim_df(set, data = events, idata = patients, start = 0, end = -1, add = times, obsonly = TRUE)
  list(found = found, seconds = proc.time()[["elapsed"]] - started)
}

errors <- function(found, right, count) {
  number <- rep(seq_len(count), each = nrow(right) / count)
  worst <- rep(0, count)
  for (name in names(right)) {
    peak <- ave(abs(right[[name]]), number, FUN = max)
    error <- abs(found[[name]] - right[[name]]) / pmax(abs(right[[name]]), 0.01 * peak)
    worst <- pmax(worst, as.vector(tapply(error, number, max)))
  }
  worst
}

for (days in c(28, 365)) {
  count <- nrow(of("patients", days))
  right <- of("right", days)
  cat(sprintf("\n%d days; error over %d patients\n", days, count))
  cat(sprintf("%-36s%6s%9s%11s%10s%9s%18s%13s\n", "engine", "cores", "patients", "patients/s", "error max",
              "p95", "ours/its per core", "first call s"))
  for (tolerance in c(1e-4, 1e-5)) {
    runs <- lapply(1:3, function(number) solve_all(days, tolerance))
    found <- runs[[3]]$found
    stopifnot(nrow(found) == nrow(right))
    speed <- count / median(sapply(runs, function(run) run$seconds))
    worst <- sort(errors(found, right, count))
    ratio <- ours[[as.character(days)]] / speed
    cat(sprintf("%-36s%6d%9d%11.1f%10.1e%9.1e%18s%13.1f\n", sprintf("mrgsolve LSODA %.0e", tolerance), 1,
                count, speed, max(worst), worst[1 + ceiling(0.95 * (count - 1))],
                if (is.na(ratio)) "-" else sprintf("%.1f", ratio), first_call_s))
  }
}
