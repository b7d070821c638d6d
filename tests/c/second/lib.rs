//! A second Rust static library: brings its own standard library into the program, panics and catches.

#[unsafe(no_mangle)]
pub extern "C" fn second_catches_a_panic() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    i32::from(std::panic::catch_unwind(|| std::hint::black_box(None::<String>).expect("asked for")).is_err())
}
