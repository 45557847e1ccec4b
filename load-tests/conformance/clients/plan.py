"""What the suite tells a client's program, and the lines with which the program answers."""
import json
import sys
import traceback
import urllib.request


class Plan:
    def __init__(self, file):
        with open(file, encoding="utf-8") as text:
            told = json.load(text)
        self.router, self.recorder, self.engines = told["router"], told["recorder"], told["engines"]

    def recorded(self, request_id):
        """What engines got of an exchange."""
        with urllib.request.urlopen(f"{self.recorder}/recorded/{request_id}", timeout=10) as answer:
            return [leg | {"body": json.loads(leg["body"])} for leg in json.loads(answer.read())]


def main(kinds):
    plan = Plan(sys.argv[1])
    for line in sys.stdin:
        case = json.loads(line)
        try:
            kinds[case["kind"]](plan, case)
            failure = None
        except Exception as e:  # noqa: BLE001  whatever it is, it is this case's failure
            failure = f"{type(e).__name__}: {e}" if str(e) else traceback.format_exc(limit=-2)
        print("CASE " + json.dumps(failure), flush=True)


def same(actual, expected, what):
    assert actual == expected, f"{what} is {actual!r}, not {expected!r}"


def prompt_tokens(text, template=True):
    """The simulated model has a token for each byte, and its template puts some around a message."""
    return len((f"<|user|>\n{text}\n<|assistant|>\n" if template else text).encode())
