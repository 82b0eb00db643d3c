/* A batch of patients over some steps of RODAS4. LANES patients go side by side; what stands between the two
   marks below is written by c_source.py. No fast-math and no contraction: every lane width gives the same bits. */

#include <math.h>
#include <string.h>

typedef double V __attribute__((vector_size(8 * LANES)));
typedef long long M __attribute__((vector_size(8 * LANES)));
typedef struct {
  const double *coefficients;
  long width;
} T;

static inline V K(double value) { return value - (V){0}; }

static inline V lanes_where(M condition, V a, V b) { return (V)((condition & (M)a) | (~condition & (M)b)); }

/* Of two zeros the positive one, and what is not a number stays so, as in the other engines. */
static inline V lanes_maximum(V a, V b) { return lanes_where(a > b, a, lanes_where(a == a, b, a)) + K(0.0); }
static inline V lanes_minimum(V a, V b) { return lanes_where(a < b, a, lanes_where(a == a, b, a)) + K(0.0); }

static inline V lanes_sqrt(V x) {
  V v;
  for (int l = 0; l < LANES; l++) v[l] = __builtin_sqrt(x[l]);
  return v;
}

/* e^x = 2^k e^r with |r| <= ln 2 / 2; what is not finite passes through as such. */
static inline V lanes_exp(V x) {
  const V low = K(-708.0), high = K(709.0), magic = K(6755399441055744.0);
  V held = lanes_where(x < low, low, lanes_where(x > high, high, x));
  V shifted = held * K(1.4426950408889634) + magic;
  V k = shifted - magic;
  V r = held - k * K(0x1.62e42fefa0000p-1) - k * K(0x1.cf79abc9e3b3ap-40);
  V p = K(1.0 / 6227020800.0);
  p = p * r + K(1.0 / 479001600.0);
  p = p * r + K(1.0 / 39916800.0);
  p = p * r + K(1.0 / 3628800.0);
  p = p * r + K(1.0 / 362880.0);
  p = p * r + K(1.0 / 40320.0);
  p = p * r + K(1.0 / 5040.0);
  p = p * r + K(1.0 / 720.0);
  p = p * r + K(1.0 / 120.0);
  p = p * r + K(1.0 / 24.0);
  p = p * r + K(1.0 / 6.0);
  p = p * r + K(0.5);
  p = p * r + K(1.0);
  p = p * r + K(1.0);
  V scaled = (V)((M)p + ((M)shifted << 52));
  scaled = lanes_where(x > high, K(INFINITY), scaled);
  return lanes_where(x == x, scaled, x);
}

/* log x = e ln 2 + 2 atanh((m - 1) / (m + 1)), m between sqrt(1/2) and sqrt(2). */
static inline V lanes_log(V x) {
  const M mantissa = (M)K(0.0) + 0x000fffffffffffffLL, one = (M)K(0.0) + 0x3ff0000000000000LL;
  M bits = (M)x;
  M exponent = (bits >> 52) - 1023;
  V m = (V)((bits & mantissa) | one);
  M is_high = m > K(1.4142135623730951);
  m = lanes_where(is_high, m * K(0.5), m);
  V e;
  for (int l = 0; l < LANES; l++) e[l] = (double)(exponent[l] - is_high[l]);
  V s = (m - K(1.0)) / (m + K(1.0)), q = s * s;
  V p = K(1.0 / 23.0);
  p = p * q + K(1.0 / 21.0);
  p = p * q + K(1.0 / 19.0);
  p = p * q + K(1.0 / 17.0);
  p = p * q + K(1.0 / 15.0);
  p = p * q + K(1.0 / 13.0);
  p = p * q + K(1.0 / 11.0);
  p = p * q + K(1.0 / 9.0);
  p = p * q + K(1.0 / 7.0);
  p = p * q + K(1.0 / 5.0);
  p = p * q + K(1.0 / 3.0);
  V found = e * K(0x1.62e42fefa39efp-1) + (s + s) * (p * q + K(1.0));
  found = lanes_where(x == K(0.0), K(-INFINITY), found);
  found = lanes_where(x == K(INFINITY), x, found);
  return lanes_where(x >= K(0.0), found, K(NAN));
}

static inline V lanes_tanh(V x) {
  V size = lanes_where(x < K(0.0), -x, x);
  V e = lanes_exp(size * K(-2.0));
  V large = (K(1.0) - e) / (K(1.0) + e);
  V q = x * x; /* near 0 the series keeps the digits that the difference would lose */
  V small = x * (K(1.0) - q * (K(1.0 / 3.0) - q * (K(2.0 / 15.0) - q * (K(17.0 / 315.0) - q * K(62.0 / 2835.0)))));
  V signed_large = lanes_where(x < K(0.0), -large, large);
  return lanes_where(size < K(0.02), small, signed_large);
}

static inline V lanes_hill(V u, V half, V exponent) {
  M is_none = u <= K(0.0);
  V share = lanes_where(is_none, K(1.0), u) / half;
  V found = K(1.0) / (K(1.0) + lanes_exp(-exponent * lanes_log(share)));
  return lanes_where(is_none, K(0.0), found);
}

/* --- tables: tensor cubic B-splines on the unit square ---------------------------------------------- */

static inline void spline_weights(double t, int is_slope, double *w) {
  const double r = 1.0 - t;
  if (is_slope) {
    w[0] = -0.5 * r * r;
    w[3] = 0.5 * t * t;
    w[1] = (1.5 * t - 2.0) * t;
    w[2] = -(w[0] + w[1] + w[3]);
    return;
  }
  const double square = t * t, cube = t * t * t;
  w[0] = r * r * r / 6.0;
  w[3] = cube / 6.0;
  w[1] = (3.0 * cube - 6.0 * square + 4.0) / 6.0;
  w[2] = 1.0 - w[0] - w[1] - w[3];
}

static V table_sum(T table, V x, V y, int by_x, int by_y) {
  V found;
  const long cells = table.width - 3;
  for (int l = 0; l < LANES; l++) {
    const double at[2] = {x[l], y[l]};
    long cell[2];
    double weight[2][4];
    for (int axis = 0; axis < 2; axis++) {
      double held = at[axis] > 0.0 ? (at[axis] < 1.0 ? at[axis] : 1.0) : 0.0;
      double scaled = held * (double)cells;
      cell[axis] = (long)scaled < cells - 1 ? (long)scaled : cells - 1;
      spline_weights(scaled - (double)cell[axis], axis ? by_y : by_x, weight[axis]);
    }
    double total = 0.0;
    for (int i = 0; i < 4; i++) {
      const double *row = table.coefficients + (cell[0] + i) * table.width + cell[1];
      double along = weight[1][0] * row[0];
      for (int j = 1; j < 4; j++) along = along + weight[1][j] * row[j];
      total = i ? total + weight[0][i] * along : weight[0][0] * along;
    }
    const int is_outside = (by_x && !(at[0] >= 0.0 && at[0] <= 1.0)) || (by_y && !(at[1] >= 0.0 && at[1] <= 1.0));
    found[l] = is_outside ? 0.0 : ((by_x || by_y) ? (double)cells * total : total);
    if (at[0] != at[0] || at[1] != at[1]) found[l] = NAN;
  }
  return found;
}

static V lanes_table(T table, V x, V y) { return table_sum(table, x, y, 0, 0); }
static V lanes_table_x(T table, V x, V y) { return table_sum(table, x, y, 1, 0); }
static V lanes_table_y(T table, V x, V y) { return table_sum(table, x, y, 0, 1); }

/* --- programs ---------------------------------------------------------------------------------------- */
/*PROGRAMS*/
/* --- the march ----------------------------------------------------------------------------------------- */

typedef struct {
  const double *values; /* of time `t` and patient `p` at values[t * by_time + p * by_patient] */
  long by_time, by_patient;
} Given;

static inline V load(const double *from, long stride, long count) {
  V v;
  if (stride == 0) return K(*from);
  if (count == LANES) {
    memcpy(&v, from, sizeof v);
    return v;
  }
  for (int l = 0; l < LANES; l++) v[l] = from[l < count ? l : count - 1];
  return v;
}

static inline void store(double *to, V v, long count) {
  if (count == LANES) {
    memcpy(to, &v, sizeof v);
    return;
  }
  for (int l = 0; l < count; l++) to[l] = v[l];
}

/* Take all patients from grid[0] to grid[steps]. y is (STATES, patients), in and out. A record is the state
   `record_share` of the way through step `record_step`, ascending; records are (records, STATES, patients). */
void advance(long patients, long steps, const double *grid, const Given *parameters_of_rates,
             const Given *parameters_of_prepare, const Given *drives, const Given *slopes, const T *tables,
             double *y, long records, const long *record_step, const double *record_share, double *recorded) {
  for (long first = 0; first < patients; first += LANES) {
    const long count = patients - first < LANES ? patients - first : LANES;
    V own[PARAMETERS + 1], kept_rates[RATES_KEPT], kept_prepare[PREPARE_KEPT], kept_solve[SOLVE_KEPT];
    for (int j = 0; j < PARAMETERS_OF_RATES; j++)
      own[j] = load(parameters_of_rates[j].values + first * parameters_of_rates[j].by_patient,
                    parameters_of_rates[j].by_patient, count);
    rates_once(own, tables, kept_rates);
    for (int j = 0; j < PARAMETERS_OF_PREPARE; j++)
      own[j] = load(parameters_of_prepare[j].values + first * parameters_of_prepare[j].by_patient,
                    parameters_of_prepare[j].by_patient, count);
    prepare_once(own, tables, kept_prepare);
    solve_once(own, tables, kept_solve);

    V state[STATES + 1], argument[STATES], rate[STATES], k[STAGES][STATES];
    V prepared[2 * STATES + FACTORS], to_solve[FACTORS + STATES], driven[2 * DRIVES + 1];
    V *const by_time = prepared + STATES, *const factors = prepared + 2 * STATES;
    for (int i = 0; i < STATES; i++) state[i] = load(y + i * patients + first, 1, count);
    long record = 0;
    for (long step = 0; step < steps; step++) {
      const double h = grid[step + 1] - grid[step];
      const long time = step * STAGE_TIMES;
      state[STATES] = K(1.0 / (h * GAMMA));
      for (int j = 0; j < DRIVES; j++) {
        driven[j] = load(drives[j].values + time * drives[j].by_time + first * drives[j].by_patient,
                         drives[j].by_patient, count);
        driven[DRIVES + j] = load(slopes[j].values + time * slopes[j].by_time + first * slopes[j].by_patient,
                                  slopes[j].by_patient, count);
      }
      prepare_at(kept_prepare, driven, state, tables, prepared);
      for (int j = 0; j < FACTORS; j++) to_solve[j] = factors[j];
      for (int stage = 0; stage < STAGES; stage++) {
        const V *now = prepared;
        if (stage) {
          for (int i = 0; i < STATES; i++) {
            V sum = state[i];
            for (int j = 0; j < stage; j++) sum = sum + k[j][i] * K(ARGUMENT[stage][j]);
            argument[i] = sum;
          }
          const long at = time + TIME_OF_STAGE[stage];
          for (int j = 0; j < DRIVES; j++)
            driven[j] = load(drives[j].values + at * drives[j].by_time + first * drives[j].by_patient,
                             drives[j].by_patient, count);
          rates_at(kept_rates, driven, argument, tables, rate);
          now = rate;
        }
        V *const right = to_solve + FACTORS;
        for (int i = 0; i < STATES; i++) {
          V sum = now[i] + by_time[i] * K(h * TIME_WEIGHT[stage]);
          for (int j = 0; j < stage; j++) sum = sum + k[j][i] * K(CORRECTION[stage][j] / h);
          right[i] = sum;
        }
        solve_at(kept_solve, driven, to_solve, tables, k[stage]);
      }
      for (; record < records && record_step[record] == step; record++) {
        const double s = record_share[record], r = 1.0 - s;
        for (int i = 0; i < STATES; i++) {
          V u = K(0.0), v = K(0.0);
          for (int j = 0; j < STAGES - 1; j++) {
            u = u + k[j][i] * K(DENSE_U[j]);
            v = v + k[j][i] * K(DENSE_V[j]);
          }
          V end = argument[i] + k[STAGES - 1][i];
          V now = s == 0.0 ? state[i] : K(r) * state[i] + K(s) * (end + K(r) * (u + K(s) * v));
          store(recorded + (record * STATES + i) * patients + first, now, count);
        }
      }
      for (int i = 0; i < STATES; i++) state[i] = argument[i] + k[STAGES - 1][i];
    }
    for (int i = 0; i < STATES; i++) store(y + i * patients + first, state[i], count);
  }
}

/* What the functions above give, for tests. */
void evaluate(int which, long count, const double *x, double *found) {
  for (long first = 0; first < count; first += LANES) {
    const long some = count - first < LANES ? count - first : LANES;
    const V v = load(x + first, 1, some);
    V out = K(NAN);
    if (which == 0) out = lanes_exp(v);
    if (which == 1) out = lanes_log(v);
    if (which == 2) out = lanes_tanh(v);
    if (which == 3) out = lanes_sqrt(v);
    store(found + first, out, some);
  }
}
