import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * An echo client as Java's socket tutorials have it: one text to the server, one back, and both ends close.
 *
 * Arguments: host, port, text. What comes back goes to standard output in UTF-8, and then what comes behind it (-1: nothing).
 */
class EchoClient {
    public static void main(String[] args) throws IOException {
        try (Socket socket = new Socket(args[0], Integer.parseInt(args[1]))) {
            new DataOutputStream(socket.getOutputStream()).writeUTF(args[2]);
            DataInputStream in = new DataInputStream(socket.getInputStream());
            String answer = "Receive:" + in.readUTF() + "\n" + in.read() + "\n";
            System.out.write(answer.getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
    }
}
