"""Function calls, and a dictionary of strings."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


counts = {}
for i in range(200_000):
    key = "key" + str(i * 7919 % 5003)
    counts[key] = counts.get(key, 0) + 1
print(fib(23), len(counts), max(counts.values()))
