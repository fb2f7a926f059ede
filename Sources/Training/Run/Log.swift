import Logging

/// Where the module speaks; the program decides who hears it.
let log = Logger(label: "adalign")
