"""Small integers in a loop."""
total = 0
for i in range(2_000_000):
    total += i * 3 & 255
print(total)
