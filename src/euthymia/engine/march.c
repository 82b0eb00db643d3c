/* A batch of patients over some steps of RODAS4, LANES of them side by side in single precision.

   What stands at the mark PROGRAMS is written by c_source.py. States are carried from step to step in double
   precision, and so are the modes of linear systems; stages work in single precision. Only explicit fused
   multiply-adds, no fast-math: every width gives the same bits. */

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define HALF (LANES / 2)
typedef float V __attribute__((vector_size(4 * LANES)));
typedef int M __attribute__((vector_size(4 * LANES)));
typedef float F __attribute__((vector_size(4 * HALF)));
typedef double D __attribute__((vector_size(8 * HALF)));
typedef long long L __attribute__((vector_size(8 * HALF)));
typedef float Q __attribute__((vector_size(16)));
typedef struct {
  D half[2];
} W; /* the lanes of a V in double precision */
typedef struct {
  const float *coefficients;
  long width;
} T;

#define INLINE static inline __attribute__((always_inline))

INLINE V K(float value) { return value - (V){0}; }
INLINE D KD(double value) { return value - (D){0}; }

/* --- what differs between processors ------------------------------------------------------------------ */

#if defined(__x86_64__) && LANES == 16
INLINE V FMA(V a, V b, V c) { return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE V lanes_sqrt(V x) { return (V)_mm512_sqrt_ps((__m512)x); }
INLINE V smaller(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE V larger(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE D FMAD(D a, D b, D c) { return (D)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
#elif defined(__x86_64__) && LANES == 8 && defined(__FMA__)
INLINE V FMA(V a, V b, V c) { return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE V lanes_sqrt(V x) { return (V)_mm256_sqrt_ps((__m256)x); }
INLINE V smaller(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE V larger(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE D FMAD(D a, D b, D c) { return (D)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
#else
INLINE V FMA(V a, V b, V c) {
  V v;
  for (int l = 0; l < LANES; l++) v[l] = __builtin_fmaf(a[l], b[l], c[l]);
  return v;
}
INLINE V lanes_sqrt(V x) {
  V v;
  for (int l = 0; l < LANES; l++) v[l] = __builtin_sqrtf(x[l]);
  return v;
}
/* The second where either is not a number, as the instructions above. */
INLINE V smaller(V a, V b) {
  V v;
  for (int l = 0; l < LANES; l++) v[l] = a[l] < b[l] ? a[l] : b[l];
  return v;
}
INLINE V larger(V a, V b) {
  V v;
  for (int l = 0; l < LANES; l++) v[l] = a[l] > b[l] ? a[l] : b[l];
  return v;
}
INLINE D FMAD(D a, D b, D c) {
  D v;
  for (int l = 0; l < HALF; l++) v[l] = __builtin_fma(a[l], b[l], c[l]);
  return v;
}
#endif

INLINE Q FMAQ(float weight, Q b, Q c) {
#if defined(__x86_64__) && defined(__FMA__)
  return (Q)_mm_fmadd_ps(_mm_set1_ps(weight), (__m128)b, (__m128)c);
#else
  Q v;
  for (int l = 0; l < 4; l++) v[l] = __builtin_fmaf(weight, b[l], c[l]);
  return v;
#endif
}

INLINE V FNMA(V a, V b, V c) { return FMA(-a, b, c); }
INLINE V FMS(V a, V b, V c) { return FMA(a, b, -c); }
INLINE V lanes_where(M condition, V a, V b) { return (V)((condition & (M)a) | (~condition & (M)b)); }
INLINE V size_of(V x) { return (V)((M)x & 0x7fffffff); }
INLINE D halves_where(L condition, D a, D b) { return (D)((condition & (L)a) | (~condition & (L)b)); }

/* Numbers too small for all their digits count as 0 while a march goes on: their inverse would be infinite. */
#if defined(__x86_64__)
#define FLUSH_BITS 0x8040u
INLINE unsigned long control(void) { return _mm_getcsr(); }
INLINE void set_control(unsigned long bits) { _mm_setcsr((unsigned)bits); }
#elif defined(__aarch64__)
#define FLUSH_BITS (1ul << 24)
INLINE unsigned long control(void) {
  unsigned long bits;
  __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
  return bits;
}
INLINE void set_control(unsigned long bits) { __asm__ volatile("msr fpcr, %0" : : "r"(bits)); }
#else
#define FLUSH_BITS 0ul
INLINE unsigned long control(void) { return 0; }
INLINE void set_control(unsigned long bits) { (void)bits; }
#endif

/* --- functions ------------------------------------------------------------------------------------------ */

/* What is not a number stays so. */
INLINE V lanes_maximum(V a, V b) { return lanes_where(a == a, larger(a, b), a); }
INLINE V lanes_minimum(V a, V b) { return lanes_where(a == a, smaller(a, b), a); }

/* e^x = 2^k e^r with |r| <= ln 2 / 2. */
INLINE V lanes_exp(V x) {
  V held = larger(K(-87.0f), smaller(K(88.5f), x));
  V shifted = FMA(held, K(1.44269504f), K(12582912.0f));
  V k = shifted - K(12582912.0f);
  V r = FMA(k, K(-0x1.62e4p-1f), held);
  r = FMA(k, K(-0x1.7f7d1cp-20f), r);
  V p = K(1.0f / 5040.0f);
  p = FMA(p, r, K(1.0f / 720.0f));
  p = FMA(p, r, K(1.0f / 120.0f));
  p = FMA(p, r, K(1.0f / 24.0f));
  p = FMA(p, r, K(1.0f / 6.0f));
  p = FMA(p, r, K(0.5f));
  p = FMA(p, r, K(1.0f));
  p = FMA(p, r, K(1.0f));
  V scaled = (V)((M)p + ((M)shifted << 23));
  scaled = lanes_where(x > K(88.5f), K(INFINITY), scaled);
  return lanes_where(x == x, scaled, x);
}

/* log x = e ln 2 + 2 atanh((m - 1) / (m + 1)), m between sqrt(1/2) and sqrt(2). */
INLINE V lanes_log(V x) {
  const M mantissa = (M)K(0.0f) + 0x007fffff, one = (M)K(0.0f) + 0x3f800000;
  M bits = (M)x;
  M exponent = (bits >> 23) - 127;
  V m = (V)((bits & mantissa) | one);
  M is_high = m > K(1.41421356f);
  m = lanes_where(is_high, m * K(0.5f), m);
  V e = __builtin_convertvector(exponent - is_high, V);
  V s = (m - K(1.0f)) / (m + K(1.0f)), q = s * s;
  V p = K(1.0f / 11.0f);
  p = FMA(p, q, K(1.0f / 9.0f));
  p = FMA(p, q, K(1.0f / 7.0f));
  p = FMA(p, q, K(1.0f / 5.0f));
  p = FMA(p, q, K(1.0f / 3.0f));
  V twice = s + s;
  V found = FMA(e, K(0x1.62e4p-1f), FMA(e, K(0x1.7f7d1cp-20f), FMA(twice * q, p, twice)));
  found = lanes_where(x == K(0.0f), K(-INFINITY), found);
  found = lanes_where(x == K(INFINITY), x, found);
  return lanes_where(x >= K(0.0f), found, K(NAN));
}

INLINE V lanes_tanh(V x) {
  V size = lanes_where(x < K(0.0f), -x, x);
  V e = lanes_exp(size * K(-2.0f));
  V large = (K(1.0f) - e) / (K(1.0f) + e);
  V q = x * x; /* near 0 the series keeps the digits that the difference would lose */
  V p = K(-1382.0f / 155925.0f);
  p = FMA(p, q, K(62.0f / 2835.0f));
  p = FMA(p, q, K(-17.0f / 315.0f));
  p = FMA(p, q, K(2.0f / 15.0f));
  p = FMA(p, q, K(-1.0f / 3.0f));
  V small = FMA(p * q, x, x);
  V signed_large = lanes_where(x < K(0.0f), -large, large);
  return lanes_where(size < K(0.3f), small, signed_large);
}

INLINE D halves_exp(D x) {
  const D low = KD(-708.0), magic = KD(6755399441055744.0);
  D held = halves_where(x < low, low, x);
  D shifted = FMAD(held, KD(1.4426950408889634), magic);
  D k = shifted - magic;
  D r = FMAD(k, KD(-0x1.62e42fefa0000p-1), held);
  r = FMAD(k, KD(-0x1.cf79abc9e3b3ap-40), r);
  D p = KD(1.0 / 479001600.0);
  p = FMAD(p, r, KD(1.0 / 39916800.0));
  p = FMAD(p, r, KD(1.0 / 3628800.0));
  p = FMAD(p, r, KD(1.0 / 362880.0));
  p = FMAD(p, r, KD(1.0 / 40320.0));
  p = FMAD(p, r, KD(1.0 / 5040.0));
  p = FMAD(p, r, KD(1.0 / 720.0));
  p = FMAD(p, r, KD(1.0 / 120.0));
  p = FMAD(p, r, KD(1.0 / 24.0));
  p = FMAD(p, r, KD(1.0 / 6.0));
  p = FMAD(p, r, KD(0.5));
  p = FMAD(p, r, KD(1.0));
  p = FMAD(p, r, KD(1.0));
  return halves_where(x < low, KD(0.0), (D)((L)p + ((L)shifted << 52)));
}

/* Tensor cubic B-splines on the unit square: value, and with slopes the derivatives along x and y too. */
static void lanes_table(T table, V x, V y, int has_slopes, V *restrict found) {
  const long cells = table.width - 3;
  const V at[2] = {x, y};
  V value[2][4], slope[2][4];
  M cell[2];
  for (int axis = 0; axis < 2; axis++) {
    V scaled = larger(K(0.0f), smaller(K(1.0f), at[axis])) * K((float)cells);
    V known = larger(scaled, K(0.0f)); /* what is not a number has no cell */
    M place = __builtin_convertvector(known, M);
    M last = (M)K(0.0f) + (int)(cells - 1);
    M is_over = place > last;
    place = (is_over & last) | (~is_over & place);
    cell[axis] = place;
    V t = scaled - __builtin_convertvector(place, V), r = K(1.0f) - t;
    V square = t * t, cube = square * t;
    V *w = value[axis];
    w[0] = r * r * r * K(1.0f / 6.0f);
    w[3] = cube * K(1.0f / 6.0f);
    w[1] = FMA(K(0.5f), cube, K(2.0f / 3.0f) - square);
    w[2] = K(1.0f) - w[0] - w[1] - w[3];
    if (has_slopes) {
      w = slope[axis];
      w[0] = K(-0.5f) * r * r;
      w[3] = K(0.5f) * square;
      w[1] = FMA(K(1.5f), t, K(-2.0f)) * t;
      w[2] = -(w[0] + w[1] + w[3]);
    }
  }
  float by_column[4][LANES], by_column_slope[4][LANES];
  for (int l = 0; l < LANES; l++) {
    const float *row = table.coefficients + (long)cell[0][l] * table.width + cell[1][l];
    Q sum = {0}, sloped = {0};
    for (int i = 0; i < 4; i++, row += table.width) {
      Q around;
      memcpy(&around, row, sizeof around);
      sum = FMAQ(value[0][i][l], around, sum);
      if (has_slopes) sloped = FMAQ(slope[0][i][l], around, sloped);
    }
    for (int j = 0; j < 4; j++) {
      by_column[j][l] = sum[j];
      if (has_slopes) by_column_slope[j][l] = sloped[j];
    }
  }
  V total = K(0.0f), by_x = K(0.0f), by_y = K(0.0f);
  for (int j = 0; j < 4; j++) {
    V along;
    memcpy(&along, by_column[j], sizeof along);
    total = FMA(value[1][j], along, total);
    if (has_slopes) {
      by_y = FMA(slope[1][j], along, by_y);
      memcpy(&along, by_column_slope[j], sizeof along);
      by_x = FMA(value[1][j], along, by_x);
    }
  }
  found[0] = total;
  if (has_slopes) {
    const V scale = K((float)cells), none = K(0.0f), all = K(1.0f);
    found[1] = lanes_where((x >= none) & (x <= all), by_x * scale, none);
    found[2] = lanes_where((y >= none) & (y <= all), by_y * scale, none);
  }
}

/* --- programs ------------------------------------------------------------------------------------------- */
/*PROGRAMS*/
/* --- numbers in and out ----------------------------------------------------------------------------------- */

typedef struct {
  const double *values; /* of row `t` and patient `p` at values[t * by_row + p * by_patient] */
  long by_row, by_patient;
} Given;

#if LANES == 16
#define JOINED 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define LOW 0, 1, 2, 3, 4, 5, 6, 7
#define HIGH 8, 9, 10, 11, 12, 13, 14, 15
#elif LANES == 8
#define JOINED 0, 1, 2, 3, 4, 5, 6, 7
#define LOW 0, 1, 2, 3
#define HIGH 4, 5, 6, 7
#else
#define JOINED 0, 1, 2, 3
#define LOW 0, 1
#define HIGH 2, 3
#endif

INLINE V narrow(W w) {
  F low = __builtin_convertvector(w.half[0], F), high = __builtin_convertvector(w.half[1], F);
  return __builtin_shufflevector(low, high, JOINED);
}

INLINE W widen(V v) {
  F low = __builtin_shufflevector(v, v, LOW), high = __builtin_shufflevector(v, v, HIGH);
  return (W){{__builtin_convertvector(low, D), __builtin_convertvector(high, D)}};
}

INLINE W load(const double *from, long stride, long count) {
  W w;
  if (stride == 0) return (W){{KD(*from), KD(*from)}};
  if (count == LANES) {
    memcpy(&w, from, sizeof w);
    return w;
  }
  for (int l = 0; l < LANES; l++) w.half[l / HALF][l % HALF] = from[l < count ? l : count - 1];
  return w;
}

INLINE void put(D *halves, W w) { memcpy(halves, &w, sizeof w); }

INLINE W load_given(const Given *given, long row, long first, long count) {
  return load(given->values + row * given->by_row + first * given->by_patient, given->by_patient, count);
}

INLINE void store(double *to, W w, long count) {
  if (count == LANES) {
    memcpy(to, &w, sizeof w);
    return;
  }
  for (int l = 0; l < count; l++) to[l] = w.half[l / HALF][l % HALF];
}

/* --- linear systems, exactly ------------------------------------------------------------------------------- */

/* What enters at a constant rate, or at once where its length is 0. Each is (patients) or one for all. */
typedef struct {
  Given amount, start, length;
  double opens, closes; /* no patient gets any before and after */
  int first_mode, last_mode, is_shared, is_bolus;
} Inflow;

/* Outputs are sums of weight x mode: values of all drives given, then their slopes, then the slopes of these. Modes
   of one pole lie side by side by ascending power of time. */
typedef struct {
  long poles, modes, terms, outputs, inflows;
  const double *rate;   /* (poles, patients) */
  const double *weight; /* (terms, patients) */
  const int *pole_of_mode, *power_of_mode, *mode_of_term, *drive_of_output;
  const int *first_term; /* (outputs + 1): terms lie in the order of the outputs */
  const Inflow *inflow;
  double *amount; /* (modes, patients), carried */
} Linear;

#define MOST_POWERS 12
#define SERIES 16
static const double INVERSE[MOST_POWERS + SERIES + 2] = {
    0,        1.0,      1.0 / 2,  1.0 / 3,  1.0 / 4,  1.0 / 5,  1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,
    1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14, 1.0 / 15, 1.0 / 16, 1.0 / 17, 1.0 / 18, 1.0 / 19,
    1.0 / 20, 1.0 / 21, 1.0 / 22, 1.0 / 23, 1.0 / 24, 1.0 / 25, 1.0 / 26, 1.0 / 27, 1.0 / 28, 1.0 / 29};

/* Integrals of u^p / p! exp(-rate u) from 0 to length, p = 0 ... powers. */
INLINE void input_moments(D rate, D length, int powers, D *moment) {
  D x = rate * length, decay = halves_exp(-x), small_by[MOST_POWERS];
  L is_small = x < KD(1.0);
  D power = length; /* length^(p + 1) / p! */
  for (int p = 0; p <= powers; p++) {
    D sum = KD(0.0);
    for (int k = SERIES - 1; k >= 0; k--) sum = FMAD(sum, -x * KD(INVERSE[k + 1]), KD(INVERSE[p + k + 1]));
    small_by[p] = power * sum;
    power = power * length * KD(INVERSE[p + 1]);
  }
  D safe = halves_where(is_small, KD(1.0), rate), edge = KD(1.0);
  for (int p = 0; p <= powers; p++) {
    D large = (p ? moment[p - 1] - edge * decay : KD(1.0) - decay) / safe;
    moment[p] = halves_where(is_small, small_by[p], large);
    edge = edge * length * KD(INVERSE[p + 1]);
  }
}

/* What an inflow adds to the modes of its node over a step. */
static void add_inflow(const Linear *one, const Inflow *in, D (*z)[2], D (*rate)[2], double from, double to,
                       long first, long count) {
  const W amount = load_given(&in->amount, 0, first, count);
  const W start = load_given(&in->start, 0, first, count), length = load_given(&in->length, 0, first, count);
  for (int h = 0; h < 2; h++) {
    D begin = start.half[h], end = begin + length.half[h];
    L is_bolus = length.half[h] <= KD(0.0), is_now = (begin >= KD(from)) & (begin < KD(to));
    D given = halves_where(is_bolus & is_now, amount.half[h], KD(0.0));
    D flow = amount.half[h] / halves_where(is_bolus, KD(1.0), length.half[h]);
    flow = halves_where(is_bolus, KD(0.0), flow);
    begin = halves_where(begin > KD(from), begin, KD(from));
    end = halves_where(end < KD(to), end, KD(to));
    L is_on = end > begin;
    D lasts = halves_where(is_on, end - begin, KD(0.0));
    D after = halves_where(is_bolus, KD(to) - begin, KD(to) - end);
    after = halves_where(after > KD(0.0), after, KD(0.0));
    flow = halves_where(is_on, flow, KD(0.0));
    for (int m = in->first_mode; m < in->last_mode;) {
      int pole = one->pole_of_mode[m], powers = 0;
      while (m + powers + 1 < in->last_mode && one->pole_of_mode[m + powers + 1] == pole) powers++;
      D during[MOST_POWERS];
      if (in->is_bolus)
        for (int p = 0; p <= powers; p++) during[p] = KD(0.0);
      else
        input_moments(rate[pole][h], lasts, powers, during);
      during[0] = flow * during[0] + given;
      for (int p = 1; p <= powers; p++) during[p] = flow * during[p];
      D decay = halves_exp(-rate[pole][h] * after);
      for (int p = 0; p <= powers; p++) {
        D sum = during[p], grown = KD(1.0);
        for (int q = 1; q <= p; q++) {
          grown = grown * after * KD(INVERSE[q]);
          sum = sum + during[p - q] * grown;
        }
        z[m + p][h] = z[m + p][h] + decay * sum;
      }
      m += powers + 1;
    }
  }
}

/* What enters each mode per hour at the start or the end of a step, seen from inside it. */
static void flows_at(const Linear *one, D (*flow)[2], double time, int is_end, long first, long count) {
  const double now = is_end ? time - CLOSEST_H : time + CLOSEST_H;
  for (long m = 0; m < one->modes; m++) flow[m][0] = flow[m][1] = KD(0.0);
  for (long j = 0; j < one->inflows; j++) {
    const Inflow *in = &one->inflow[j];
    if (in->is_bolus || in->opens > now || in->closes < now) continue;
    const W amount = load_given(&in->amount, 0, first, count);
    const W start = load_given(&in->start, 0, first, count), length = load_given(&in->length, 0, first, count);
    for (int h = 0; h < 2; h++) {
      L is_on = (length.half[h] > KD(0.0)) & (start.half[h] <= KD(now)) & (start.half[h] + length.half[h] >= KD(now));
      D rate = halves_where(is_on, amount.half[h] / halves_where(is_on, length.half[h], KD(1.0)), KD(0.0));
      for (int m = in->first_mode; m < in->last_mode; m++)
        if (one->power_of_mode[m] == 0) flow[m][h] = flow[m][h] + rate;
    }
  }
}

/* --- the march ----------------------------------------------------------------------------------------------- */

/* The drives over a step: polynomials through values and slopes at both ends, and through the curvatures there of
   those that linear systems give. */
typedef struct {
  V from[DRIVES + 1], slope_from[DRIVES + 1], curve_from[DRIVES + 1];
  V to[DRIVES + 1], slope_to[DRIVES + 1], curve_to[DRIVES + 1];
  const int *kinds; /* (drives) */
} Course;

INLINE void drives_at(const Course *course, float s, float length, V *driven) {
  const float r = 1.0f - s, square = s * s, cube = square * s, back = r * r;
  const V a = K((1.0f + 2.0f * s) * back), b = K(s * back * length);
  const V c = K(square * (3.0f - 2.0f * s)), d = K(-square * r * length);
  const float end = cube * (10.0f - 15.0f * s + 6.0f * square);
  const V from = K(1.0f - end), to = K(end);
  const V slope_from = K(s * back * r * (1.0f + 3.0f * s) * length), slope_to = K(-cube * r * (4.0f - 3.0f * s) * length);
  const V curve_from = K(0.5f * square * back * r * length * length), curve_to = K(0.5f * cube * back * length * length);
  for (int j = 0; j < DRIVES; j++) {
    if (course->kinds[j] < 0) continue;
    if (course->kinds[j] == 0) {
      V sum = FMA(course->slope_from[j], b, FMA(course->to[j], c, course->slope_to[j] * d));
      driven[j] = FMA(course->from[j], a, sum);
      continue;
    }
    V sum = FMA(course->curve_from[j], curve_from, course->curve_to[j] * curve_to);
    sum = FMA(course->slope_from[j], slope_from, FMA(course->slope_to[j], slope_to, sum));
    driven[j] = larger(K(0.0f), FMA(course->from[j], from, FMA(course->to[j], to, sum)));
  }
}

/* A patient group on its way: states, and what its last step left behind. */
typedef struct {
  W y[STATES];
  V begun[STATES + 1]; /* at the start of the last step */
  V k[STAGES][STATES];
} Walk;

INLINE void stage_sums(Walk *walk, const int stage, const V *restrict by_time, float length, V *restrict argument,
                       V *restrict change, V *restrict partial) {
  const V slope = K(length * TIME_WEIGHT[stage]), over = K(1.0f / length);
  for (int i = 0; i < STATES; i++) {
    V sum, own = K(0.0f);
    if (stage < STAGES - 1) {
      sum = K(ARGUMENT[stage][0]) * walk->k[0][i];
      for (int j = 1; j < stage; j++) sum = FMA(walk->k[j][i], K(ARGUMENT[stage][j]), sum);
    } else {
      sum = change[i] + walk->k[stage - 1][i];
    }
    for (int j = 0; j < stage; j++) own = FMA(walk->k[j][i], K(CORRECTION[stage][j]), own);
    change[i] = sum;
    argument[i] = walk->begun[i] + sum;
    own = own * over;
    partial[i] = TIME_WEIGHT[stage] != 0.0f ? FMA(by_time[i], slope, own) : own;
  }
}

/* What drives decide at the two ends of a step, where it is known already. */
typedef struct {
  V start[PASSED], end[PASSED];
  int has_start, has_end;
} Decided;

/* Take a step; say the rates at its start and the whole change by it. */
static void take_step(Walk *walk, const Course *course, double step, const V *restrict kept, const T *tables,
                      Decided *decided, V *restrict rate_at_start, V *restrict whole_change) {
  const float length = (float)step;
  V prepared[2 * STATES + FACTORS + STATES], driven[2 * DRIVES + 1], passed[PASSED];
  V argument[STATES + 1], change[STATES], partial[STATES], rate[STATES];
  V *const by_time = prepared + STATES, *const solving = prepared + 2 * STATES, *const right = solving + FACTORS;
  for (int i = 0; i < STATES; i++) walk->begun[i] = narrow(walk->y[i]);
  walk->begun[STATES] = K((float)(1.0 / (step * GAMMA)));
  memcpy(driven, course->from, DRIVES * sizeof(V));
  memcpy(driven + DRIVES, course->slope_from, DRIVES * sizeof(V));
  if (!decided->has_start) along(kept, driven, tables, decided->start);
  prepare_at(kept, decided->start, driven, walk->begun, tables, prepared);
  for (int i = 0; i < STATES; i++) right[i] = FMA(by_time[i], K(length * TIME_WEIGHT[0]), prepared[i]);
  memcpy(rate_at_start, prepared, STATES * sizeof(V));
  solve_at(solving, tables, walk->k[0]);
#define STAGE(stage)                                                                      \
  stage_sums(walk, stage, by_time, length, argument, change, partial);                    \
  if (stage < STAGES - 2) {                                                               \
    drives_at(course, NODE[stage], length, driven);                                       \
    along(kept, driven, tables, passed);                                                  \
  } else if (stage == STAGES - 2) {                                                       \
    memcpy(driven, course->to, DRIVES * sizeof(V));                                       \
    if (!decided->has_end) along(kept, driven, tables, decided->end);                     \
  }                                                                                       \
  rates_at(kept, stage < STAGES - 2 ? passed : decided->end, driven, argument, tables, rate); \
  for (int i = 0; i < STATES; i++) right[i] = rate[i] + partial[i];                       \
  solve_at(solving, tables, walk->k[stage]);
  STAGE(1) STAGE(2) STAGE(3) STAGE(4) STAGE(5)
#undef STAGE
  for (int i = 0; i < STATES; i++) {
    whole_change[i] = change[i] + walk->k[STAGES - 1][i];
    W more = widen(whole_change[i]);
    walk->y[i].half[0] += more.half[0];
    walk->y[i].half[1] += more.half[1];
  }
}

/* What a pair of steps leaves behind for the times within: the states at its start, what each step has changed,
   and rates at start, middle and end. */
typedef struct {
  V begun[STATES], change[2][STATES], rate[3][STATES];
  V error_from[STATES], error_to[STATES]; /* what is left of a difference to steps of twice the length */
} Pair;

/* The states at a share `s` of a pair of steps: the polynomial of degree five through states and rates at its
   three points. The middle lies at a share `m`. */
static void within(const Pair *pair, double s, double m, double length, V *restrict states) {
  const double a = (s - m) * (s - 1.0) / m, b = s * (s - 1.0) / (m * (m - 1.0)), c = s * (s - m) / (1.0 - m);
  const double slope_b = (2.0 * m - 1.0) / (m * (m - 1.0)), slope_c = (2.0 - m) / (1.0 - m);
  const V to_middle = K((float)((1.0 - 2.0 * (s - m) * slope_b) * b * b));
  const V to_end = K((float)((1.0 - 2.0 * (s - 1.0) * slope_c) * c * c));
  const V first = K((float)(s * a * a * length)), second = K((float)((s - m) * b * b * length));
  const V third = K((float)((s - 1.0) * c * c * length));
  for (int i = 0; i < STATES; i++) {
    V sum = FMA(pair->change[0][i], to_middle, (pair->change[0][i] + pair->change[1][i]) * to_end);
    sum = FMA(pair->rate[0][i], first, FMA(pair->rate[1][i], second, FMA(pair->rate[2][i], third, sum)));
    V error = FMA(pair->error_to[i] - pair->error_from[i], K((float)s), pair->error_from[i]);
    states[i] = pair->begun[i] + (sum + error);
  }
}

/* Steps of half the length leave a sixteenth of an error of fourth order: what is left is a fifteenth of the
   difference, and is taken off at the times in between. */
static void left_over(const Walk *fine, const Walk *coarse, V *restrict error) {
  for (int i = 0; i < STATES; i++) {
    W off;
    for (int h = 0; h < 2; h++) off.half[h] = (fine->y[i].half[h] - coarse->y[i].half[h]) * KD(1.0 / 15.0);
    error[i] = narrow(off);
  }
}

/* Everything about a batch. Records are ascending; `recorded` is (wanted, all_records, patients). */
typedef struct {
  long patients, steps, linears, knotted, records, all_records, first_record, wanted, tables, is_checked;
  const double *grid;
  const Given *parameters, *values, *slopes, *curves; /* drives: rows are start and end of each step */
  const int *kinds; /* (drives) -1: 0 all the time; 1: a linear system gives it, nowhere below 0; 0: another */
  const Linear *linear;
  const Given *knots; /* rows are knots, between which is a straight line */
  const int *knot_drive;
  const long *knot_count;
  const long *knot_place; /* (knotted, steps) the knot before each step */
  const double *knot_time; /* of all knots, one drive after the other */
  const T *table;
  double *y, *y_coarse; /* (STATES, patients) */
  const double *record_time;
  const int *wanted_value; /* a state, or STATES + output */
  float *recorded;
  float *error, *peak; /* (wanted, patients), the largest difference and the largest size so far */
} Batch;

static void observe(const Batch *batch, const V *kept, const V *driven, V *states, V *out) {
  V results[OUTPUTS + 1];
  int has_outputs = 0;
  for (long w = 0; w < batch->wanted; w++) has_outputs |= batch->wanted_value[w] >= STATES;
  states[STATES] = K(0.0f);
  if (has_outputs) observe_at(kept, driven, states, batch->table, results);
  for (long w = 0; w < batch->wanted; w++) {
    const int value = batch->wanted_value[w];
    out[w] = value < STATES ? states[value] : results[value - STATES];
  }
}

/* Take some patients from grid[0] to grid[steps]; with a check, the same in steps of two, side by side. */
static void march_group(const Batch *batch, long first, long count) {
  const long patients = batch->patients;
  V kept[KEPT], own[PARAMETERS + 1];
  for (int j = 0; j < PARAMETERS; j++) own[j] = narrow(load_given(&batch->parameters[j], 0, first, count));
  once(own, batch->table, kept);

  long modes = 0, poles = 0, outputs = 0, terms = 0;
  for (long s = 0; s < batch->linears; s++) {
    modes += batch->linear[s].modes;
    poles += batch->linear[s].poles;
    outputs += batch->linear[s].outputs;
    terms += batch->linear[s].terms;
  }
  D z[modes + 1][2], rate[poles + 1][2], decay[poles + 1][2], weight[terms + 1][2], found[outputs + 1][2], flow[modes + 1][2];
  for (long s = 0, at = 0, pole = 0, term = 0; s < batch->linears; s++) {
    const Linear *one = &batch->linear[s];
    for (long m = 0; m < one->modes; m++, at++)
      put(z[at], load(one->amount + m * patients + first, 1, count));
    for (long p = 0; p < one->poles; p++, pole++)
      put(rate[pole], load(one->rate + p * patients + first, 1, count));
    for (long t = 0; t < one->terms; t++, term++)
      put(weight[term], load(one->weight + t * patients + first, 1, count));
  }

  Walk fine, coarse;
  Pair last;
  V unused[STATES], other_unused[STATES];
  Decided half = {.has_start = 0, .has_end = 0}, double_step = {.has_start = 1, .has_end = 1};
  for (int i = 0; i < STATES; i++) {
    fine.y[i] = load(batch->y + i * patients + first, 1, count);
    if (batch->is_checked) coarse.y[i] = load(batch->y_coarse + i * patients + first, 1, count);
  }
  for (int i = 0; i < STATES; i++) last.error_to[i] = last.error_from[i] = K(0.0f);
  if (batch->is_checked) left_over(&fine, &coarse, last.error_to);
  Course now[2], pair;
  now[0].kinds = now[1].kinds = pair.kinds = batch->kinds;
  memset(now[0].from, 0, 6 * sizeof pair.from);
  memset(now[1].from, 0, 6 * sizeof pair.from);
  V states[STATES + 1], driven[2 * DRIVES + 1], passed[PASSED], out[batch->wanted + 1], other[batch->wanted + 1];
  V error[batch->wanted + 1], peak[batch->wanted + 1];
  for (long w = 0; w < batch->wanted; w++) error[w] = peak[w] = K(0.0f);
  double known_length = -1.0;
  long record = 0;
  int is_first = 1;
  for (long step = 0; step < batch->steps; step++) {
    const double from = batch->grid[step], to = batch->grid[step + 1], length = to - from;
    Course *course = &now[step % 2];
    const Course *before = &now[(step + 1) % 2];
    for (int j = 0; j < DRIVES; j++) {
      if (batch->kinds[j] < 0) continue;
      course->from[j] = narrow(load_given(&batch->values[j], 2 * step, first, count));
      course->to[j] = narrow(load_given(&batch->values[j], 2 * step + 1, first, count));
      course->slope_from[j] = narrow(load_given(&batch->slopes[j], 2 * step, first, count));
      course->slope_to[j] = narrow(load_given(&batch->slopes[j], 2 * step + 1, first, count));
      if (batch->kinds[j] == 0) continue;
      course->curve_from[j] = narrow(load_given(&batch->curves[j], 2 * step, first, count));
      course->curve_to[j] = narrow(load_given(&batch->curves[j], 2 * step + 1, first, count));
    }
    const double *knot_time = batch->knot_time;
    for (long j = 0; j < batch->knotted; j++) {
      const int drive = batch->knot_drive[j];
      const long place = batch->knot_place[j * batch->steps + step];
      const double since = from - knot_time[place], apart = knot_time[place + 1] - knot_time[place];
      const W here = load_given(&batch->knots[j], place, first, count);
      const W next = load_given(&batch->knots[j], place + 1, first, count);
      W start, end, gain;
      for (int h = 0; h < 2; h++) {
        gain.half[h] = (next.half[h] - here.half[h]) * KD(1.0 / apart);
        start.half[h] = FMAD(gain.half[h], KD(since), here.half[h]);
        end.half[h] = FMAD(gain.half[h], KD(since + length), here.half[h]);
      }
      course->from[drive] += narrow(start);
      course->to[drive] += narrow(end);
      course->slope_from[drive] += narrow(gain);
      course->slope_to[drive] += narrow(gain);
      knot_time += batch->knot_count[j];
    }
    const int is_new_length = fabs(length - known_length) > CLOSEST_H * length;
    known_length = is_new_length ? length : known_length;
    int is_smooth = 1;
    for (long s = 0, mode = 0, pole = 0, term = 0, output = 0; s < batch->linears; s++) {
      const Linear *one = &batch->linear[s];
      int is_new = is_first, is_flowing = 0; /* whether what holds at the start differs from what held before */
      for (long j = 0; j < one->inflows; j++) {
        const Inflow *in = &one->inflow[j];
        is_new |= fabs(in->opens - from) < CLOSEST_H || fabs(in->closes - from) < CLOSEST_H;
        is_flowing |= !in->is_bolus && in->opens < to && in->closes > from;
        if (!(in->is_bolus && in->is_shared && fabs(in->opens - from) < CLOSEST_H)) continue;
        const W amount = load_given(&in->amount, 0, first, count); /* given at once to all when the step begins */
        for (int m = in->first_mode; m < in->last_mode; m++)
          if (one->power_of_mode[m] == 0)
            for (int h = 0; h < 2; h++) z[mode + m][h] = z[mode + m][h] + amount.half[h];
      }
      is_smooth &= !is_new;
      for (int end = is_new ? 0 : 1; end < 2; end++) {
        if (end) {
          for (long p = 0; p < one->poles; p++)
            for (int h = 0; h < 2 && is_new_length; h++) decay[pole + p][h] = halves_exp(rate[pole + p][h] * KD(-length));
          for (long m = one->modes - 1; m >= 0; m--)
            for (int h = 0; h < 2; h++) {
              D sum = z[mode + m][h];
              double grown = 1.0;
              for (int q = 1; q <= one->power_of_mode[m]; q++) {
                grown = grown * length * INVERSE[q];
                sum = FMAD(z[mode + m - q][h], KD(grown), sum);
              }
              z[mode + m][h] = sum * decay[pole + one->pole_of_mode[m]][h];
            }
          for (long j = 0; j < one->inflows; j++) {
            const Inflow *in = &one->inflow[j];
            const int is_at_an_end = fabs(in->opens - from) < CLOSEST_H || fabs(in->opens - to) < CLOSEST_H;
            if (in->is_bolus && in->is_shared && is_at_an_end) continue;
            if (in->opens >= to || in->closes < from || (!in->is_bolus && in->closes <= from)) continue;
            add_inflow(one, in, z + mode, rate + pole, from, to, first, count);
          }
        }
        if (is_flowing) flows_at(one, flow, end ? to : from, end, first, count);
        for (long o = 0; o < one->outputs; o++) {
          D low = KD(0.0), high = KD(0.0);
          for (long t = one->first_term[o]; t < one->first_term[o + 1]; t++) {
            const D *from_mode = z[mode + one->mode_of_term[t]], *by = weight[term + t];
            low = FMAD(by[0], from_mode[0], low);
            high = FMAD(by[1], from_mode[1], high);
          }
          found[output + o][0] = low;
          found[output + o][1] = high;
        }
        const long given = one->outputs / 3;
        for (long o = 0; o < given; o++) {
          const int drive = one->drive_of_output[o];
          for (int order = 0; order < 3; order++) {
            const long at = order * given + o;
            D sum[2] = {found[output + at][0], found[output + at][1]};
            if (order && is_flowing) /* what flows in changes the output of one order less */
              for (long t = one->first_term[at - given]; t < one->first_term[at - given + 1]; t++)
                for (int h = 0; h < 2; h++)
                  sum[h] = FMAD(weight[term + t][h], flow[one->mode_of_term[t]][h], sum[h]);
            const V now = narrow((W){{sum[0], sum[1]}});
            if (order == 0) (end ? course->to : course->from)[drive] += larger(K(0.0f), now);
            if (order == 1) (end ? course->slope_to : course->slope_from)[drive] += now;
            if (order == 2) (end ? course->curve_to : course->curve_from)[drive] += now;
          }
        }
      }
      if (!is_new)
        for (long o = 0; o < one->outputs / 3; o++) {
          const int drive = one->drive_of_output[o];
          course->from[drive] = before->to[drive];
          course->slope_from[drive] = before->slope_to[drive];
          course->curve_from[drive] = before->curve_to[drive];
        }
      mode += one->modes;
      pole += one->poles;
      term += one->terms;
      output += one->outputs;
    }
    is_first = 0;

    if (step % 2 && is_smooth) { /* nothing happens in the middle of a pair */
      memcpy(course->from, before->to, 3 * sizeof course->from);
      memcpy(half.start, half.end, sizeof half.start);
      half.has_start = 1;
    }
    take_step(&fine, course, length, kept, batch->table, &half, last.rate[step % 2], last.change[step % 2]);
    if (step % 2 == 0) memcpy(double_step.start, half.start, sizeof half.start);
    half.has_start = 0;
    if (step % 2 == 0) {
      memcpy(last.begun, fine.begun, sizeof last.begun);
      continue;
    }
    const double begun = batch->grid[step - 1], whole = to - begun;
    memcpy(driven, course->to, DRIVES * sizeof(V));
    if (batch->is_checked) {
      memcpy(pair.from, before->from, 3 * sizeof pair.from);
      memcpy(pair.to, course->to, 3 * sizeof pair.to);
      memcpy(double_step.end, half.end, sizeof half.end);
      take_step(&coarse, &pair, whole, kept, batch->table, &double_step, unused, other_unused);
      memcpy(last.error_from, last.error_to, sizeof last.error_to);
      left_over(&fine, &coarse, last.error_to);
    }
    if (record < batch->records && batch->record_time[record] < to) {
      for (int i = 0; i < STATES; i++) states[i] = narrow(fine.y[i]);
      along(kept, driven, batch->table, passed);
      rates_at(kept, passed, driven, states, batch->table, last.rate[2]);
    }
    for (; record < batch->records && batch->record_time[record] < to; record++) {
      const double time = batch->record_time[record];
      const Course *around = time < from ? before : course;
      const double start = time < from ? begun : from, lasts = time < from ? from - begun : length;
      drives_at(around, (float)((time - start) / lasts), (float)lasts, driven);
      within(&last, (time - begun) / whole, (from - begun) / whole, whole, states);
      observe(batch, kept, driven, states, out);
      float *to_record = batch->recorded + (batch->first_record + record) * patients + first;
      for (long w = 0; w < batch->wanted; w++)
        for (int l = 0; l < count; l++) to_record[w * batch->all_records * patients + l] = out[w][l];
    }
    if (batch->is_checked) { /* both ways end here */
      memcpy(driven, course->to, DRIVES * sizeof(V));
      for (int i = 0; i < STATES; i++) states[i] = narrow(fine.y[i]);
      observe(batch, kept, driven, states, out);
      for (int i = 0; i < STATES; i++) states[i] = narrow(coarse.y[i]);
      observe(batch, kept, driven, states, other);
      for (long w = 0; w < batch->wanted; w++) {
        error[w] = larger(size_of(out[w] - other[w]), error[w]);
        peak[w] = larger(size_of(out[w]), peak[w]);
      }
    }
  }
  for (int i = 0; i < STATES; i++) {
    store(batch->y + i * patients + first, fine.y[i], count);
    if (batch->is_checked) store(batch->y_coarse + i * patients + first, coarse.y[i], count);
  }
  for (long s = 0, at = 0; s < batch->linears; s++)
    for (long m = 0; m < batch->linear[s].modes; m++, at++) {
      W w;
      memcpy(&w, z[at], sizeof w);
      store(batch->linear[s].amount + m * patients + first, w, count);
    }
  if (batch->is_checked)
    for (long w = 0; w < batch->wanted; w++)
      for (int l = 0; l < count; l++) {
        float *most = &batch->error[w * patients + first + l], *height = &batch->peak[w * patients + first + l];
        *most = error[w][l] > *most ? error[w][l] : *most;
        *height = peak[w][l] > *height ? peak[w][l] : *height;
      }
}

void march(const Batch *batch) {
  const unsigned long before = control();
  set_control(before | FLUSH_BITS);
  for (long first = 0; first < batch->patients; first += LANES) {
    const long left = batch->patients - first;
    march_group(batch, first, left < LANES ? left : LANES);
  }
  set_control(before);
}

/* What the functions above give, for tests. */
void evaluate(int which, long count, const float *x, float *found) {
  for (long first = 0; first < count; first += LANES) {
    const long some = count - first < LANES ? count - first : LANES;
    V v = K(0.0f), out = K(NAN);
    for (int l = 0; l < some; l++) v[l] = x[first + l];
    if (which == 0) out = lanes_exp(v);
    if (which == 1) out = lanes_log(v);
    if (which == 2) out = lanes_tanh(v);
    if (which == 3) out = lanes_sqrt(v);
    for (int l = 0; l < some; l++) found[first + l] = out[l];
  }
}
