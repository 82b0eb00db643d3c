/* Standard normal draws, the same bits as streams.py gives: integers, + - * / and sqrt in the same order. */

#include <math.h>
#include <stdint.h>

#define TERMS 8
#define ATANH_TERMS 12
#define BLOCK 256

/* Numerators and denominators of the three ranges, the logarithm's series, highest power first; constants. */
typedef struct {
  double ratio[3][2][TERMS], atanh[ATANH_TERMS], log_2, half_sqrt_2, uniform_step;
} Numbers;

static inline double polynomial(const double *coefficients, int terms, double x) {
  double total = coefficients[0];
  for (int i = 1; i < terms; i++) total = total * x + coefficients[i];
  return total;
}

static inline double quotient(const double ratio[2][TERMS], double x) {
  return polynomial(ratio[0], TERMS, x) / polynomial(ratio[1], TERMS, x);
}

static double logarithm(const Numbers *numbers, double x) {
  int exponent;
  double mantissa = frexp(x, &exponent);
  const int is_low = mantissa < numbers->half_sqrt_2;
  mantissa = is_low ? 2.0 * mantissa : mantissa;
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  return (double)(exponent - is_low) * numbers->log_2 + 2.0 * s * polynomial(numbers->atanh, ATANH_TERMS, s * s);
}

static double tail(const Numbers *numbers, double p, double q) {
  const double other = 1.0 - p;
  const double r = sqrt(-logarithm(numbers, p < other ? p : other));
  const double distance = r <= 5.0 ? quotient(numbers->ratio[1], r - 1.6) : quotient(numbers->ratio[2], r - 5.0);
  return (q < 0.0 ? -1.0 : 1.0) * distance;
}

void normals(const Numbers *numbers, long count, uint32_t key_0, uint32_t key_1, const uint64_t *patients,
             uint32_t occasion, uint32_t replicate, double *draws) {
  double p[BLOCK];
  for (long first = 0; first < count; first += BLOCK) {
    const int some = count - first < BLOCK ? (int)(count - first) : BLOCK;
    for (int i = 0; i < some; i++) {
      uint64_t word_0 = (uint32_t)patients[first + i], word_1 = patients[first + i] >> 32;
      uint64_t word_2 = occasion, word_3 = replicate;
      uint32_t turn_0 = key_0, turn_1 = key_1;
      for (int turn = 0; turn < 10; turn++) {
        const uint64_t product_0 = word_0 * 0xD2511F53u, product_1 = word_2 * 0xCD9E8D57u;
        word_0 = (product_1 >> 32) ^ word_1 ^ turn_0;
        word_1 = (uint32_t)product_1;
        word_2 = (product_0 >> 32) ^ word_3 ^ turn_1;
        word_3 = (uint32_t)product_0;
        turn_0 += 0x9E3779B9u;
        turn_1 += 0xBB67AE85u;
      }
      const uint64_t bits = (word_1 << 32) | word_0;
      p[i] = ((double)(bits >> 11) + 1.0) * numbers->uniform_step;
    }
    for (int i = 0; i < some; i++) {
      const double q = p[i] - 0.5;
      draws[first + i] = q * quotient(numbers->ratio[0], 0.180625 - q * q);
    }
    for (int i = 0; i < some; i++) {
      const double q = p[i] - 0.5;
      if (fabs(q) > 0.425) draws[first + i] = tail(numbers, p[i], q);
    }
  }
}
