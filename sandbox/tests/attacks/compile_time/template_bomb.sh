# attack: a short C++ program that takes the compiler very long
# policy: compile
# run: --memory 1G --cpu-time 1s --wall-time 60s --processes 64 --file-size 64M
# stopped-by: cpu_time_limit = cpu_time_limit
# control: flags --memory 1G --cpu-time 200s --wall-time 200s

# The recursion doubles at each level: about 2^17 instances.
cat >bomb.cpp <<'END'
template <int N, int M> struct Bomb { static const int value = Bomb<N - 1, 2 * M>::value + Bomb<N - 1, 2 * M + 1>::value; };
template <int M> struct Bomb<0, M> { static const int value = 1; };
int main() { return Bomb<16, 0>::value == 0; }
END
g++ -fsyntax-only bomb.cpp && exit 42
exit 0
