"""A gRPC server (grpcio, the C core) that a test tells what to say of its health: one JSON object as the argument.

It prints its port, takes `SERVICE STATUS` lines on its standard input, answers each with `ok`, and ends with it. Messages
are written by hand, as Debian has the library and no health package."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

ORDERS = json.loads(sys.argv[1])
STATUS = {"UNKNOWN": b"", "SERVING": b"\x08\x01", "NOT_SERVING": b"\x08\x02"}
services = dict(ORDERS["services"])


def check(request, context):
    # HealthCheckRequest: field 1, a text shorter than 128 bytes.
    name = request[2:].decode() if request else ""
    if name not in services:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return STATUS[services[name]]


server = grpc.server(ThreadPoolExecutor(4))
if ORDERS["health"]:
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)])
if ORDERS["certificate"]:
    pair = [open(ORDERS[name], "rb").read() for name in ("key", "certificate")]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([tuple(pair)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
for line in sys.stdin:
    name, status = line.rstrip("\n").split(" ")
    services[name] = status
    print("ok", flush=True)
