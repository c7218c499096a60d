#!/usr/bin/env python3
"""Reads our Delta tables with another engine and holds every row against our own SQL.

    compare.py duckdb BASE_URL STORE_URL
    compare.py sail   BASE_URL STORE_URL SPARK_CONNECT_URL

STORE_URL is a folder or s3://bucket/prefix, with endpoint and keys in the AWS_* variables. Prints one line a table and
exits 1 at the first difference. Both sides are compared as bags of rows, floats by their bits.
"""

import collections
import datetime
import os
import struct
import sys
import urllib.request

import pyarrow
import pyarrow.ipc

LABEL_TABLES = ("series", "log_streams")
TABLES = ("metrics", "series", "logs", "log_streams", "probes", "histograms", "start_times", "exemplars")


def ours(base_url, table):
    request = urllib.request.Request(f"{base_url}/api/sql?format=arrow", data=f"SELECT * FROM {table}".encode())
    with urllib.request.urlopen(request, timeout=120) as answer:
        return pyarrow.ipc.open_stream(answer.read()).read_all()


def duckdb_reader(store_url):
    import duckdb
    from duckdb_extensions import import_extension

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for extension in ("delta", "httpfs"):
        import_extension(extension)
        connection.execute(f"LOAD {extension}")
    if store_url.startswith("s3://"):
        endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
        connection.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}', SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}',
                REGION '{os.environ["AWS_REGION"]}', ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"""
        )
    return lambda table: connection.execute(f"SELECT * FROM delta_scan('{store_url}/{table}')").to_arrow_table()


def sail_reader(store_url, connect_url):
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(connect_url).getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return lambda table: spark.read.format("delta").load(f"{store_url}/{table}").toArrow()


def canonical(value):
    """One form for a value, whichever engine it comes from."""
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat()
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    if isinstance(value, list) and value and isinstance(value[0], tuple):  # a map, as pyarrow gives it
        return tuple(sorted(value))
    if isinstance(value, list):
        return tuple(canonical(element) for element in value)
    return value


def bag(table, names):
    columns = [[canonical(value) for value in table.column(name).to_pylist()] for name in names]
    return collections.Counter(zip(*columns))


def merged(rows, names):
    """One row for all that differ in `first_ts` and `last_ts` only: the earliest and the latest."""
    spans = {}
    places = names.index("first_ts"), names.index("last_ts")
    for row in rows:
        rest = tuple(value for place, value in enumerate(row) if place not in places)
        first, last = spans.get(rest, (row[places[0]], row[places[1]]))
        spans[rest] = min(first, row[places[0]]), max(last, row[places[1]])
    return collections.Counter(rest + span for rest, span in spans.items())


def compare(name, mine, theirs):
    if sorted(mine.column_names) != sorted(theirs.column_names):
        sys.exit(f"{name}: columns differ: {mine.column_names} and {theirs.column_names}")
    names = sorted(mine.column_names)
    left, right = bag(mine, names), bag(theirs, names)
    if name in LABEL_TABLES:
        # Our SQL gives one row a day and id; in the files a later row widens the span, as the format says.
        left, right = merged(left, names), merged(right, names)
    if left != right:
        only_ours, only_theirs = list((left - right).items())[:3], list((right - left).items())[:3]
        sys.exit(f"{name}: rows differ; columns {names}\nonly ours: {only_ours}\nonly theirs: {only_theirs}")
    print(f"{name}: {mine.num_rows} rows are the same")


def main():
    engine, base_url, store_url = sys.argv[1:4]
    read = duckdb_reader(store_url) if engine == "duckdb" else sail_reader(store_url, sys.argv[4])
    for name in TABLES:
        compare(name, ours(base_url, name), read(name))


main()
# pyarrow's threads sometimes abort the interpreter while it ends; by now everything is said.
sys.stdout.flush()
os._exit(0)
