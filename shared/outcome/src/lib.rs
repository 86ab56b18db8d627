//! What a step says when it ends: report, JUnit, output lines and exit code.
