import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.HexFormat;

/**
 * Prints what a JDK makes of modified UTF-8, for the tests of src/protocol/modified_utf8.rs.
 *
 * Two kinds of lines, in hexadecimal: "write UNITS RECORD", the record that writeUTF makes of a string of UTF-16 units; and
 * "read BYTES UNITS", what readUTF makes of a record with these bytes, UNITS being "-" when it throws.
 *
 * To make modified_utf8.txt anew: java crates/apps/tests/java/Vectors.java > tests/java/modified_utf8.txt
 */
class Vectors {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] args) throws IOException {
        write("", "a", "hello", "a\0b", "\0", "\u007f\u0080", "\u07ff\u0800", "\u00e9t\u00e9", "\uc548\ub155", "\uffff");
        write("\ud83d\ude00", "a\ud83d\ude00b", "\ud800\udc00", "\udbff\udfff", "\ue000", "\ufffd", "\u2028");
        // Strings that are no text: surrogates alone, or in the wrong order.
        write("\ud83d", "\ude00", "\ude00\ud83d", "x\ud800y", "\ud800\ud800\udc00");

        read("61", "00", "c080", "c0", "c061", "c1bf", "df", "dfbf", "e0a080", "e08080", "e28080", "e280", "e2", "e26180");
        read("ed9fbf", "eda080", "edb080", "eda080edb080", "eda08061", "efbfbf", "eebfbf80", "80", "bf61", "61c3");
        // Four bytes are how UTF-8 has a supplementary character, and not how modified UTF-8 has it.
        read("f09f9880", "f0", "f8", "ff", "fe80");
    }

    private static void write(String... strings) throws IOException {
        for (String string : strings) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            new DataOutputStream(bytes).writeUTF(string);
            System.out.println("write " + units(string) + " " + HEX.formatHex(bytes.toByteArray()));
        }
    }

    private static void read(String... records) throws IOException {
        for (String record : records) {
            byte[] bytes = HEX.parseHex(record);
            ByteArrayOutputStream framed = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(framed);
            out.writeShort(bytes.length);
            out.write(bytes);
            String read;
            try {
                read = units(new DataInputStream(new ByteArrayInputStream(framed.toByteArray())).readUTF());
            } catch (java.io.UTFDataFormatException malformed) {
                read = "-";
            }
            System.out.println("read " + record + " " + read);
        }
    }

    private static String units(String string) {
        StringBuilder units = new StringBuilder();
        string.chars().forEach(unit -> units.append(String.format("%04x", unit)));
        return units.isEmpty() ? "." : units.toString();
    }
}
