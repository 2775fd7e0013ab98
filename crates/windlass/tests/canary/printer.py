"""Prints the variables BIRD and DENSE in every way that a program might, to both outputs."""
import base64
import html
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.parse


def forms(text):
    data = text.encode()
    yield text
    yield 'between ' + text + ' others'
    for quote in (json.dumps(text), json.dumps(text, ensure_ascii=False), json.dumps(json.dumps(text))[3:-3]):
        yield quote
    yield json.dumps(text).replace('/', '\\/')
    yield repr(text)
    yield ascii(text)
    yield repr(data)
    yield shlex.quote(text)
    yield "'" + text.replace("'", "'\\''") + "'"
    bash = 'printf "%q\\n%q\\n" "$T" "${T%%$\'\\n\'*}"; set -x; : "$T"'
    # by the environment: a list of processes shows arguments
    shown = subprocess.run(['bash', '-c', bash], env={**os.environ, 'T': text}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    yield shown.stdout.decode(errors='replace')
    yield html.escape(text)
    for safe in ('', '/', "!*'()", "!*'();,/?:@&=+$#"):
        yield urllib.parse.quote(text, safe=safe)
        yield urllib.parse.quote(text, safe=safe).lower() if text.islower() else ''
    yield urllib.parse.quote_plus(text)
    for before in (b'', b'u', b'u:', b'me:'):
        for after in (b'', b'x', b'yz'):
            yield base64.b64encode(before + data + after).decode()
            yield base64.urlsafe_b64encode(before + data + after).decode()
    yield base64.encodebytes(data * 3).decode()
    yield data.hex()
    yield data.hex().upper()
    yield data.hex(' ')
    yield data.hex(':')
    yield data.hex(' ', -2)
    for width in (10, 16, 33):
        yield '\n'.join(text[at:at + width] for at in range(0, len(text), width))
    yield '\n'.join('    | ' + line for line in text.split('\n'))


def main():
    for name in ('BIRD', 'DENSE'):
        text = os.environ[name]
        for out in (sys.stdout, sys.stderr):
            for form in forms(text):
                out.write(form + '\n')
            out.flush()
            # one line in several writes
            for at in range(0, len(text), 9):
                out.write(text[at:at + 9])
                out.flush()
                time.sleep(0.01)
            out.write('\n')
            out.flush()
    # without an end of line
    sys.stdout.write(os.environ['BIRD'])


main()
