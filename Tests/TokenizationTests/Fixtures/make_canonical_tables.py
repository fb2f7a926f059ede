"""Writes Sources/Tokenization/CanonicalTables.swift.

Usage: make_canonical_tables.py > CanonicalTables.swift      (needs the PyPI package `tokenizers`, made with 0.23.3)

The normalizer NFC of that package has older tables than today's Unicode. Python's `unicodedata` proposes
decompositions and combining classes, and the package decides which of them it knows. Hangul is left to arithmetic.

Numbers are in base 36. Decompositions: gap to the code point before, first, second (0 if there is none). Classes:
gap to the end of the run before, number of code points less one, class.
"""

import sys
import unicodedata

from tokenizers import normalizers

NFC = normalizers.NFC().normalize_str
NFD = normalizers.NFD().normalize_str
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SCALARS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000 and not 0xAC00 <= code < 0xD7A4]
HEADER = '''/// Canonical decompositions and combining classes as version 0.23 of the Hugging Face tokenizers knows them.
///
/// Written by Tests/TokenizationTests/Fixtures/make_canonical_tables.py, which describes the encoding.
enum CanonicalTables {'''


def base36(number):
    text = ""
    while number or not text:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text


def decomposition(code):
    """First and second code point of the canonical decomposition that the package knows, or None."""
    fields = unicodedata.decomposition(chr(code)).split()
    if not fields or fields[0].startswith("<") or NFD(chr(code)) == chr(code):
        return None
    return [int(field, 16) for field in fields] + [0] * (2 - len(fields))


def composes(code):
    first, second = decomposition(code)
    return second != 0 and NFC(chr(first) + chr(second)) == chr(code)


def combining_class(code):
    value = unicodedata.combining(chr(code))
    if value == 0:
        return 0
    # A mark known to the package changes places with one of another class.
    other = "\u05b0" if value == 1 else "\u0334"
    text = other + chr(code) if value < unicodedata.combining(other) else chr(code) + other
    return value if NFD("a" + text) != "a" + text else 0


def decomposition_numbers(codes):
    numbers, previous = [], 0
    for code in codes:
        numbers += [code - previous, *decomposition(code)]
        previous = code
    return numbers


def class_numbers():
    runs = []
    for code in SCALARS:
        value = combining_class(code)
        if value and runs and runs[-1][1] == code - 1 and runs[-1][2] == value:
            runs[-1][1] = code
        elif value:
            runs.append([code, code, value])
    numbers, end = [], 0
    for first, last, value in runs:
        numbers += [first - end, last - first, value]
        end = last
    return numbers


def write(name, comment, numbers):
    print(f'  /// {comment}\n  static let {name} = """')
    line = ""
    for number in map(base36, numbers):
        if len(line) + len(number) > 110:
            print(f"    {line}\\")
            line = ""
        line += number + " "
    print(f'    {line.rstrip()}\n    """')


def main():
    codes = [code for code in SCALARS if decomposition(code)]
    print(HEADER)
    write("composing", "Decompositions that composition undoes.", decomposition_numbers(filter(composes, codes)))
    print()
    write("excluded", "Decompositions that stay.", decomposition_numbers(c for c in codes if not composes(c)))
    print()
    write("classes", "Combining classes other than 0.", class_numbers())
    print("}")


main()
