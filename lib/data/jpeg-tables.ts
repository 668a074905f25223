/** The example tables of the JPEG standard (ITU T.81, annex K), which every encoder ships. */

/** A Huffman table: as written to the file, and by symbol. */
export interface HuffmanTable {
  /** How many codes have each length from 1 to 16. */
  readonly counts: readonly number[];
  /** Symbols in order of their codes. */
  readonly symbols: readonly number[];
  /** Code and its length by symbol. */
  readonly codes: Uint16Array;
  readonly lengths: Uint8Array;
}

/** Canonical codes: consecutive numbers within a length, doubled from one length to the next (annex C). */
function huffman(counts: readonly number[], symbols: readonly number[]): HuffmanTable {
  const codes = new Uint16Array(256);
  const lengths = new Uint8Array(256);
  let code = 0;
  let k = 0;
  counts.forEach((count, i) => {
    for (let n = 0; n < count; n++, k++, code++) {
      codes[symbols[k]] = code;
      lengths[symbols[k]] = i + 1;
    }
    code <<= 1;
  });
  return { counts, symbols, codes, lengths };
}

const hex = (text: string): number[] => (text.match(/../g) ?? []).map((pair) => parseInt(pair, 16));

const sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/** Quantisation (row by row, for quality 50) and Huffman tables. */
export const jpegTables: {
  readonly luminance: readonly number[];
  readonly chrominance: readonly number[];
  readonly luminanceCodes: { readonly dc: HuffmanTable; readonly ac: HuffmanTable };
  readonly chrominanceCodes: { readonly dc: HuffmanTable; readonly ac: HuffmanTable };
} = {
  // prettier-ignore
  luminance: [
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
  ],
  // prettier-ignore
  chrominance: [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
  ],
  luminanceCodes: {
    dc: huffman([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], sizes),
    ac: huffman(
      [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
      hex(
        '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a' +
          '434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aa' +
          'b2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
      ),
    ),
  },
  chrominanceCodes: {
    dc: huffman([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], sizes),
    ac: huffman(
      [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
      hex(
        '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a' +
          '434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9' +
          'aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa',
      ),
    ),
  },
};
