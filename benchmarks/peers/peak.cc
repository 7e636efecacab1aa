// What the machine can do at most: products and sums in registers alone, and copies of memory.
//
//   peak THREADS
//
// prints two numbers, each the best of some trials on all threads together: GFLOP/s in float32, and
// GB/s read and written by copies that no cache holds.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
// As many sums as hide the latency of one, and as still fit into the registers beside two factors.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kSums = 24;
#else
constexpr int kSums = 12;
#endif
constexpr long kLoops = 4'000'000;
constexpr std::size_t kBytes = std::size_t{64} << 20;  // of each thread, from and to
constexpr int kTrials = 5;

typedef float Vector __attribute__((vector_size(4 * kLanes)));

static void Multiply(float* out) {
  Vector sums[kSums];
  Vector factor = {}, term = {};
  for (int lane = 0; lane < kLanes; ++lane) {
    factor[lane] = 0.5f;
    term[lane] = 1e-3f * lane;
  }
  // The compiler must not know the factors, else it could work out the result.
#if defined(__x86_64__)
  asm volatile("" : "+x"(factor), "+x"(term));
#elif defined(__aarch64__)
  asm volatile("" : "+w"(factor), "+w"(term));
#endif
  for (int i = 0; i < kSums; ++i) sums[i] = term * static_cast<float>(i);
  for (long loop = 0; loop < kLoops; ++loop) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + term;
  }
  Vector total = sums[0];
  for (int i = 1; i < kSums; ++i) total += sums[i];
  *out = total[0];
}

template <typename Work>
static double Seconds(int threads, Work work) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> running;
  for (int id = 0; id < threads; ++id) running.emplace_back(work, id);
  for (std::thread& thread : running) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 0;
  if (threads < 1) {
    std::fprintf(stderr, "peak: one argument, the number of threads, was expected\n");
    return 2;
  }
  std::vector<float> out(threads);
  double flops = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double seconds = Seconds(threads, [&](int id) { Multiply(&out[id]); });
    const double rate = 2.0 * kLanes * kSums * kLoops * threads / seconds;
    if (rate > flops) flops = rate;
  }
  std::vector<std::unique_ptr<char[]>> from(threads), to(threads);
  for (int id = 0; id < threads; ++id) {
    from[id].reset(new char[kBytes]);
    to[id].reset(new char[kBytes]);
    std::memset(from[id].get(), id + 1, kBytes);
    std::memset(to[id].get(), 0, kBytes);
  }
  double bytes = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double seconds =
        Seconds(threads, [&](int id) { std::memcpy(to[id].get(), from[id].get(), kBytes); });
    const double rate = 2.0 * kBytes * threads / seconds;
    if (rate > bytes) bytes = rate;
  }
  std::printf("%.6g %.6g\n", flops / 1e9, bytes / 1e9);
  return out[0] > 1e30f;
}
