package peer;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.socket.CloseStatus;
import org.springframework.web.socket.TextMessage;
import org.springframework.web.socket.WebSocketSession;
import org.springframework.web.socket.config.annotation.EnableWebSocket;
import org.springframework.web.socket.config.annotation.WebSocketConfigurer;
import org.springframework.web.socket.config.annotation.WebSocketHandlerRegistry;
import org.springframework.web.socket.handler.ConcurrentWebSocketSessionDecorator;
import org.springframework.web.socket.handler.TextWebSocketHandler;

/** An echo and a broadcast by Spring's SockJS, on a port that the first line tells. */
@SpringBootApplication
@EnableWebSocket
public class Server implements WebSocketConfigurer {
    public static void main(String[] arguments) {
        SpringApplication.run(Server.class, arguments);
    }

    @Override
    public void registerWebSocketHandlers(WebSocketHandlerRegistry registry) {
        registry.addHandler(new Echo(), "/echo").setAllowedOriginPatterns("*").withSockJS();
        registry.addHandler(new Broadcast(), "/broadcast").setAllowedOriginPatterns("*").withSockJS();
    }

    @EventListener
    public void ready(ApplicationReadyEvent event) {
        String port = event.getApplicationContext().getEnvironment().getProperty("local.server.port");
        System.out.println("listening on http://127.0.0.1:" + port);
    }

    /** Asked before and after memory is measured. */
    @RestController
    static class Collector {
        @GetMapping("/collect")
        void collect() {
            System.gc();
        }
    }

    static class Echo extends TextWebSocketHandler {
        @Override
        protected void handleTextMessage(WebSocketSession session, TextMessage message) throws IOException {
            session.sendMessage(message);
        }
    }

    static class Broadcast extends TextWebSocketHandler {
        private static final int SEND_MILLISECONDS = 10_000;
        private static final int BUFFERED_BYTES = 1024 * 1024;

        private final Map<String, WebSocketSession> sessions = new ConcurrentHashMap<>();

        @Override
        public void afterConnectionEstablished(WebSocketSession session) {
            sessions.put(session.getId(),
                    new ConcurrentWebSocketSessionDecorator(session, SEND_MILLISECONDS, BUFFERED_BYTES));
        }

        @Override
        public void afterConnectionClosed(WebSocketSession session, CloseStatus status) {
            sessions.remove(session.getId());
        }

        @Override
        protected void handleTextMessage(WebSocketSession session, TextMessage message) {
            for (WebSocketSession other : sessions.values()) {
                try {
                    other.sendMessage(message);
                } catch (IOException | RuntimeException gone) {
                    // It is closing: the others are to hear the message nevertheless.
                }
            }
        }
    }
}
