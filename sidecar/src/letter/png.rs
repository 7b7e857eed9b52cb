//! A black and white PNG file (ISO/IEC 15948): one bit a pixel, one compressed part.

use std::io::{self, Write as _};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::qr::{QUIET, Square};

/// Pixels of one side of a module: 8 make a code of 4 cm at 300 dots an inch sharp.
const MODULE_PIXELS: usize = 8;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// The code with its quiet zone.
pub(super) fn black_and_white(square: &Square) -> io::Result<Vec<u8>> {
    let modules = square.width() + 2 * QUIET;
    let side = modules * MODULE_PIXELS;
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::best());
    for y in 0..side {
        // Filter 0: the row as it is. A set bit is white.
        let mut row = vec![0_u8; 1 + side.div_ceil(8)];
        for (at, byte) in row.iter_mut().skip(1).enumerate() {
            for bit in 0..8 {
                let (x, y) = ((at * 8 + bit) / MODULE_PIXELS, y / MODULE_PIXELS);
                let dark = x >= QUIET && y >= QUIET && square.is_dark(x - QUIET, y - QUIET);
                *byte |= u8::from(!dark) << (7 - bit);
            }
        }
        rows.write_all(&row)?;
    }
    let side = u32::try_from(side).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
    // One bit, greyscale, the one compression, the one filter method, no interlace.
    header.extend_from_slice(&[1, 0, 0, 0, 0]);
    let mut file = SIGNATURE.to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", rows.finish()?), (b"IEND", Vec::new())] {
        let length = u32::try_from(data.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut sum = Crc::new();
        sum.update(kind);
        sum.update(&data);
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(kind);
        file.extend_from_slice(&data);
        file.extend_from_slice(&sum.sum().to_be_bytes());
    }
    Ok(file)
}
