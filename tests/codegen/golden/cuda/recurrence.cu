typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

extern "C" __global__ void __launch_bounds__(256) recurrence_entry_0(const i64 last, double* p, const double w) {
    for (i64 once = blockIdx.x * (i64)blockDim.x + threadIdx.x; once < 1; once += gridDim.x * (i64)blockDim.x) {
        for (i64 i = 0; i < last; ++i) {
            const double h = p[i];
            const double u = h * w;
            const double t = tanh(u);
            const i64 j = i + 1;
            p[j] = t;
        }
    }
}
