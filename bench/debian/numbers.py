"""Large integers, and exact sums of floats."""
import math

large = pow(3, 20011)
for _ in range(40):
    large = large * large % (2**30011 - 1)
print(large % 1_000_000_007, math.fsum(math.sin(i) / (i + 1) for i in range(200_000)))
