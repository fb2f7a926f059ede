"""Writes Sources/Tokenization/UnicodeRanges.swift.

Usage: make_unicode_ranges.py RANGES.json > UnicodeRanges.swift

RANGES.json maps the names of general categories to lists of inclusive ranges [first, last] of code points, as Unicode
16 has them. Each table is written as alternating gaps and lengths in base 36: the distance from the end of the range
before, and the number of code points of the range less one.
"""

import json
import sys

NAMES = ["L", "N", "M", "Lu", "Ll", "Lt", "Lm", "Lo"]
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
HEADER = '''/// The general categories of Unicode 16, which Debian's Oniguruma (Unicode 14) lacks.
///
/// Written by Tests/TokenizationTests/Fixtures/make_unicode_ranges.py, which describes the encoding.
enum UnicodeRanges {
  /// Names of properties and their ranges: first and last code point of each, in ascending order.
  static let tables: [(name: String, bounds: [UInt32])] = encoded.map { ($0, decode($1)) }

  private static func decode(_ text: String) -> [UInt32] {
    var bounds: [UInt32] = []
    for (index, number) in text.split(separator: " ").enumerated() {
      let distance = UInt32(number, radix: 36) ?? 0
      bounds.append((bounds.last ?? 0) + distance + (index > 0 && index.isMultiple(of: 2) ? 1 : 0))
    }
    return bounds
  }

  private static let encoded: [(String, String)] = ['''


def base36(number):
    text = ""
    while number or not text:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text


def encode(ranges):
    numbers, end = [], -1
    for first, last in ranges:
        numbers += [first - end - 1 if end >= 0 else first, last - first]
        end = last
    return [base36(number) for number in numbers]


def lines(words, width):
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > width:
            yield line + " \\"
            line = word
        else:
            line = line + " " + word if line else word
    yield line


def main():
    with open(sys.argv[1]) as file:
        tables = json.load(file)
    print(HEADER)
    for name in NAMES:
        print(f'    (\n      "{name}",\n      """')
        for line in lines(encode(tables[name]), 110):
            print("      " + line)
        print('      """\n    ),')
    print("  ]\n}")


main()
