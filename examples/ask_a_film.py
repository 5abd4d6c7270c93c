"""Ask questions about a film, one after another: the second one costs no second look at the film.

    python examples/ask_a_film.py examples/kangaroo.mp4 "What happens in the film?" "How many objects are there?"

`make demo` runs this.
"""

import sys

import kangaroo


def main(film: str, *questions: str) -> None:
    """Open a session about the film and print each answer as it comes."""
    session = kangaroo.load("joey").chat(film)
    for question in questions:
        print(f"> {question}")
        answer = session.ask(question)
        print(f"  ({answer.preflight})")
        for text in answer:
            print(text, end="", flush=True)
        seconds = answer.timings_s
        print(f"\n  ({answer.new_tokens} tokens; seconds: {', '.join(f'{k} {v:.2f}' for k, v in seconds.items())})\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("give a film and at least one question")
    try:
        main(*sys.argv[1:])
    except kangaroo.KangarooError as error:
        sys.exit(f"error: {error}")
