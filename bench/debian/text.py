"""JSON there and back, and regular expressions."""
import json
import re

records = [{"id": i, "name": f"vm{i % 97}", "size": i * 0.25, "tags": ["a" * (i % 5), None, True]} for i in range(5_000)]
text = json.dumps(records)
assert json.loads(text) == records
found = re.findall(r'"name": "(vm\d+)", "size": (\d+)\.5', text)
print(len(found), len(re.sub(r"[aeiou]+", lambda m: m[0].upper(), text)), len(set(re.split(r"[\s,:]+", text))))
