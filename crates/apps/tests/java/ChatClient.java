import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Scanner;

/**
 * A chat client as Java's socket tutorials have it, call for call: a name, then a line for each line typed, each with the name in
 * brackets before it; "quit" ends it. Its port goes to standard output, then what it hears, and "(end)" when the server has ended.
 *
 * Arguments: host, port, name. Standard input and output are UTF-8.
 */
class ChatClient {
    public static void main(String[] args) throws Exception {
        String name = args[2];
        Socket socket = new Socket(args[0], Integer.parseInt(args[1]));
        PrintStream shown = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        shown.println("Client LocalPort : " + socket.getLocalPort());
        Thread receiver = new Thread(() -> receive(socket, shown));
        receiver.start();

        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeUTF(name);
        Scanner typed = new Scanner(System.in, StandardCharsets.UTF_8);
        while (typed.hasNextLine()) {
            String line = typed.nextLine();
            if (line.equals("quit")) {
                break;
            }
            out.writeUTF("[" + name + "]" + line);
        }
        out.close();
        socket.close();
        receiver.join();
    }

    private static void receive(Socket socket, PrintStream shown) {
        try {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            while (true) {
                shown.println(in.readUTF());
            }
        } catch (EOFException end) {
            shown.println("(end)");
        } catch (IOException gone) {
            // The other thread has closed the socket.
        }
    }
}
