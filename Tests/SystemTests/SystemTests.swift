import Testing

/// Tests of the built program as its users run it: files in, files, exit codes and messages out, with and without mpirun.
///
/// One at a time, because they compete for the cores. Needs `swift build -c release` first.
@Suite(.serialized)
enum SystemTests {}
