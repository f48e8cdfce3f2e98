"""The least that delivering a webhook costs: `python -m benchmarks.contenders.bare_post`.

For each row one statement that claims it, a POST over one kept-alive connection, and one statement
that records the answer. There is no signature, no check of the address, no lease and no log. It
prints the CPU that its loop was charged, without the start of the interpreter.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any

import psycopg

__all__ = ["DATABASE", "main"]

#: The variable with the database's address.
DATABASE = "BARE_POST_DATABASE_URL"

TABLE = """
CREATE TEMPORARY TABLE bare_posts (id bigint PRIMARY KEY, body text, claimed_at timestamptz,
                                   status int)
"""
FILL = "INSERT INTO bare_posts SELECT n, %s FROM generate_series(1, %s) n"
CLAIM = "UPDATE bare_posts SET claimed_at = now() WHERE id = %s RETURNING body"
RECORD = "UPDATE bare_posts SET status = %s WHERE id = %s"
HEADERS = {"Content-Type": "application/json"}


def _deliver(
    connection: "psycopg.Connection[tuple[Any, ...]]", receiver: HTTPConnection, number: int
) -> None:
    row = connection.execute(CLAIM, (number,)).fetchone()
    assert row is not None  # noqa: S101 - the row exists
    receiver.request("POST", "/hook", row[0].encode(), HEADERS)
    answer = receiver.getresponse()
    answer.read()
    connection.execute(RECORD, (answer.status, number))


def main(argv: Sequence[str] | None = None) -> int:
    """Deliver the rows after some for a warm-up, and print the seconds of CPU."""
    parser = argparse.ArgumentParser(prog="bare_post", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the receiver on loopback")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--bytes", type=int, required=True, help="size of a body")
    asked = parser.parse_args(argv)
    receiver = HTTPConnection("127.0.0.1", asked.port)
    with psycopg.connect(os.environ[DATABASE], autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(FILL, ("x" * asked.bytes, asked.warm_up + asked.count))
        for number in range(1, asked.warm_up + 1):
            _deliver(connection, receiver, number)
        before_s = time.process_time()
        for number in range(asked.warm_up + 1, asked.warm_up + asked.count + 1):
            _deliver(connection, receiver, number)
        sys.stdout.write(f"{time.process_time() - before_s}\n")
    receiver.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
