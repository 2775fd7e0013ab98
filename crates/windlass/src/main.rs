//! Windlass builds releases, keeps them, and puts them on machines.

fn main() -> std::process::ExitCode {
    windlass::main(|_| {})
}
